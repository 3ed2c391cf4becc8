using System.Buffers;
using System.Text;
using System.Text.Json;
using System.Text.Json.Nodes;
using System.Text.Unicode;
using Trainer.Configuration;

namespace Trainer.Data;

/// <summary>A parsed <c>tokenizer.json</c>, asked by dotted path; errors name the file.</summary>
internal sealed class TokenizerDocument
{
    private static readonly JsonDocumentOptions Strict = new() { AllowDuplicateProperties = false };

    private readonly string path;
    private readonly JsonObject root;

    /// <summary>The file's path.</summary>
    public string Name => path;

    /// <summary>The whole content.</summary>
    public JsonObject Root => root;

    private TokenizerDocument(string path, JsonObject root) => (this.path, this.root) = (path, root);

    /// <summary>A document that is in memory.</summary>
    public static TokenizerDocument Of(JsonObject root) => new("the tokenizer", root);

    public static TokenizerDocument Read(string path)
    {
        var bytes = ReadBytes(path);
        try
        {
            CheckText(path, bytes);
            return new TokenizerDocument(path, JsonNode.Parse(bytes, documentOptions: Strict) as JsonObject
                ?? throw new UserException($"{path} is no tokenizer.json: it must hold a JSON object"));
        }
        catch (JsonException e)
        {
            throw e.LineNumber is null && Repeated(bytes) is ({ } name, var at)
                ? Damaged(path, $"is no valid JSON: it gives \"{name}\" twice", bytes.AsSpan(0, at))
                : new UserException($"{path} is no valid JSON (line {e.LineNumber + 1}, byte {e.BytePositionInLine + 1}); the file is damaged: copy or build it again", e);
        }
    }

    private static byte[] ReadBytes(string path)
    {
        try
        {
            return File.ReadAllBytes(path);
        }
        catch (Exception e) when (e is FileNotFoundException or DirectoryNotFoundException)
        {
            throw new UserException($"there is no tokenizer at {Path.GetFullPath(path)}; give the path of a tokenizer.json", e);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            throw new UserException($"{path} cannot be read: {e.Message}", e);
        }
    }

    private static UserException Damaged(string path, string what, ReadOnlySpan<byte> before) => new(
        $"{path} {what} (line {before.Count((byte)'\n') + 1}, byte {before.Length - before.LastIndexOf((byte)'\n')}); the file is damaged: copy or build it again");

    /// <summary>The first name that an object gives twice, and where; the parser tells neither.</summary>
    private static (string? Name, int At) Repeated(ReadOnlySpan<byte> bytes)
    {
        var reader = new Utf8JsonReader(bytes);
        var names = new Stack<HashSet<string>>();
        while (reader.Read())
            if (reader.TokenType == JsonTokenType.StartObject)
                names.Push([]);
            else if (reader.TokenType == JsonTokenType.EndObject)
                names.Pop();
            else if (reader.TokenType == JsonTokenType.PropertyName && !names.Peek().Add(reader.GetString()!))
                return (reader.GetString(), (int)reader.TokenStartIndex);
        return (null, 0);
    }

    /// <summary>Refuses bytes that are no UTF-8 and strings that are no Unicode, which would else be found where they are used, without a place.</summary>
    /// <exception cref="JsonException">It is no JSON.</exception>
    private static void CheckText(string path, ReadOnlySpan<byte> bytes)
    {
        if (!Utf8.IsValid(bytes))
        {
            var valid = 0;
            while (Rune.DecodeFromUtf8(bytes[valid..], out _, out var length) == OperationStatus.Done)
                valid += length;
            throw Damaged(path, $"is no valid UTF-8, for 0x{bytes[valid]:X2} begins no whole character", bytes[..valid]);
        }
        var reader = new Utf8JsonReader(bytes);
        while (reader.Read())
            if (reader.TokenType is JsonTokenType.String or JsonTokenType.PropertyName && reader.ValueIsEscaped && !IsText(ref reader))
                throw Damaged(path, "holds half of a surrogate pair", bytes[..(int)reader.TokenStartIndex]);
    }

    private static bool IsText(ref Utf8JsonReader reader)
    {
        try
        {
            return reader.GetString() is not null;
        }
        catch (InvalidOperationException)
        {
            return false;
        }
    }

    /// <summary>Whether the value at a path is this string.</summary>
    public bool Has(string at, string value) => Text(at) == value;

    /// <summary>Whether the object at a path agrees with another one in the named keys.</summary>
    public bool Same(string at, JsonObject expected, params ReadOnlySpan<string> keys)
    {
        foreach (var key in keys)
            if (!JsonNode.DeepEquals(At($"{at}.{key}"), expected[key]))
                return false;
        return true;
    }

    /// <summary>Whether the parts at these paths are absent or empty.</summary>
    public bool Plain(params ReadOnlySpan<string> paths)
    {
        foreach (var at in paths)
            if (At(at) is not (null or JsonArray { Count: 0 }))
                return false;
        return true;
    }

    /// <summary>The entries of <c>model.vocab</c>.</summary>
    public IReadOnlyDictionary<string, int> Vocabulary()
    {
        if (At("model.vocab") is not JsonObject entries || entries.Count == 0)
            throw Damaged("model.vocab must be an object with at least one token");
        var vocabulary = new Dictionary<string, int>(entries.Count, StringComparer.Ordinal);
        foreach (var (token, value) in entries)
            vocabulary[token] = value is JsonValue number && number.TryGetValue<int>(out var id) && id >= 0
                ? id
                : throw Damaged($"model.vocab gives the token \"{token}\" the id {value?.ToJsonString() ?? "null"}, not a number from 0 on");
        return vocabulary;
    }

    /// <summary>The error for a file whose parts contradict each other.</summary>
    public UserException Damaged(string what) => new($"{path} is damaged: {what}");

    private string? Text(string at) => At(at) is JsonValue value && value.TryGetValue<string>(out var text) ? text : null;

    private JsonNode? At(string at)
    {
        JsonNode? node = root;
        foreach (var key in at.Split('.'))
            node = node is JsonObject parent ? parent[key] : null;
        return node;
    }
}
