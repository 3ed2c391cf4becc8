using System.Text.Json;
using System.Text.Json.Nodes;
using Trainer.Configuration;

namespace Trainer.Text;

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
        try
        {
            return new TokenizerDocument(path, JsonNode.Parse(File.ReadAllBytes(path), documentOptions: Strict) as JsonObject
                ?? throw new UserException($"{path} is no tokenizer.json: it must hold a JSON object"));
        }
        catch (Exception e) when (e is FileNotFoundException or DirectoryNotFoundException)
        {
            throw new UserException($"there is no tokenizer at {Path.GetFullPath(path)}; give the path of a tokenizer.json", e);
        }
        catch (JsonException e)
        {
            throw new UserException($"{path} is no valid JSON (line {e.LineNumber + 1}, byte {e.BytePositionInLine + 1}); the file is damaged: copy or build it again", e);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            throw new UserException($"{path} cannot be read: {e.Message}", e);
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
