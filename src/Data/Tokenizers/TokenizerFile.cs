using System.Buffers;
using System.Text;
using System.Text.Encodings.Web;
using System.Text.Json;
using System.Text.Json.Nodes;
using System.Text.Unicode;
using Trainer.Configuration;
using Trainer.Data.Tokenizers.HuggingFace;

namespace Trainer.Data.Tokenizers;

internal static class TokenizerFile
{
    private static readonly JsonSerializerOptions Readable = new() { WriteIndented = true,
        Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping };

    /// <summary>The readers of our own kinds; each returns null for files of another kind. Add new kinds here.</summary>
    private static readonly Func<TokenizerDocument, Tokenizer?>[] Kinds = [ReadByte, ReadCharacter, ReadWord];

    public static void Save(Tokenizer tokenizer, string path) =>
        AtomicFile.Write(path, stream => stream.Write(Serialize(tokenizer)));

    public static byte[] Serialize(Tokenizer tokenizer) =>
        Encoding.UTF8.GetBytes(tokenizer.ToJson().ToJsonString(Readable).ReplaceLineEndings("\n") + "\n");

    public static Tokenizer Load(string path) => Read(TokenizerDocument.Read(path));

    public static Tokenizer Parse(JsonObject document) => Read(TokenizerDocument.Of(document));

    private static Tokenizer Read(TokenizerDocument document)
    {
        foreach (var read in Kinds)
            if (read(document) is { } tokenizer)
                return tokenizer;
        return HuggingFaceTokenizer.Parse(document.Root, document.Name);   // any other Hugging Face tokenizer
    }

    private static ByteTokenizer? ReadByte(TokenizerDocument document) =>
        document.Has("model.type", "BPE")
        && document.Same("pre_tokenizer", TokenizerJson.ByteLevel(), "type", "add_prefix_space", "use_regex")
        && document.Plain("normalizer", "post_processor", "added_tokens", "model.merges")
        && ByteTokenizer.IsVocabulary(document.Vocabulary())
            ? ByteTokenizer.Instance
            : null;

    private static CharacterTokenizer? ReadCharacter(TokenizerDocument document)
    {
        if (!document.Has("model.type", "WordLevel")
            || !document.Has("pre_tokenizer.type", "Split")
            || !document.Has("pre_tokenizer.pattern.Regex", TokenizerJson.EveryCharacterPattern)
            || !document.Plain("normalizer", "post_processor", "added_tokens"))
            return null;
        var vocabulary = document.Vocabulary();
        var characters = vocabulary.OrderBy(entry => entry.Value).Select(entry => entry.Key.EnumerateRunes().ToArray()).ToArray();
        if (characters.Any(token => token.Length != 1))
            return null;
        var tokenizer = new CharacterTokenizer(characters.Select(token => token[0]));
        return tokenizer.Characters.Select((character, id) => vocabulary[character.ToString()] == id).All(same => same)
            ? tokenizer
            : throw document.Damaged("model.vocab must number its characters 0, 1, 2 … in code-point order");
    }

    private static WordTokenizer? ReadWord(TokenizerDocument document)
    {
        var lowercase = document.Has("normalizer.type", "Lowercase");
        if (!document.Has("model.type", "WordLevel")
            || !document.Has("pre_tokenizer.type", "Whitespace")
            || !document.Plain("post_processor", "added_tokens", "decoder")
            || !(lowercase || document.Plain("normalizer")))
            return null;
        var vocabulary = document.Vocabulary();
        string[] words = [.. vocabulary.OrderBy(entry => entry.Value).Select(entry => entry.Key)];
        return document.Has("model.unk_token", words[0]) && words.Select((word, id) => vocabulary[word] == id).All(same => same)
            ? new WordTokenizer(words, lowercase)
            : null;
    }
}

internal sealed class TokenizerDocument
{
    private static readonly JsonDocumentOptions Strict = new() { AllowDuplicateProperties = false };

    private readonly string path;
    private readonly JsonObject root;

    public string Name => path;

    public JsonObject Root => root;

    private TokenizerDocument(string path, JsonObject root) => (this.path, this.root) = (path, root);

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
                : new UserException($"{path} is no valid JSON (line {e.LineNumber + 1}, byte {e.BytePositionInLine + 1}); the file is "
                    + "damaged: copy or build it again", e);
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
        $"{path} {what} (line {before.Count((byte)'\n') + 1}, byte {before.Length - before.LastIndexOf((byte)'\n')}); the file is damaged: "
        + "copy or build it again");

    /// <summary>The first duplicate property name and its position, which the parser does not report.</summary>
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

    /// <summary>Rejects invalid UTF-8 and lone surrogates here, where their position is known.</summary>
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

    public bool Has(string at, string value) => Text(at) == value;

    public bool Same(string at, JsonObject expected, params ReadOnlySpan<string> keys)
    {
        foreach (var key in keys)
            if (!JsonNode.DeepEquals(At($"{at}.{key}"), expected[key]))
                return false;
        return true;
    }

    public bool Plain(params ReadOnlySpan<string> paths)
    {
        foreach (var at in paths)
            if (At(at) is not (null or JsonArray { Count: 0 }))
                return false;
        return true;
    }

    public IReadOnlyDictionary<string, int> Vocabulary()
    {
        if (At("model.vocab") is not JsonObject entries || entries.Count == 0)
            throw Damaged("model.vocab must be an object with at least one token");
        var vocabulary = new Dictionary<string, int>(entries.Count, StringComparer.Ordinal);
        foreach (var (token, value) in entries)
            vocabulary[token] = value is JsonValue number && number.TryGetValue<int>(out var id) && id >= 0
                ? id
                : throw Damaged(
                    $"model.vocab gives the token \"{token}\" the id {value?.ToJsonString() ?? "null"}, not a number from 0 on");
        return vocabulary;
    }

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
