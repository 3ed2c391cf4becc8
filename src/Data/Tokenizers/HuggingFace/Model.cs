using System.Text;
using System.Text.Json.Nodes;

namespace Trainer.Data.Tokenizers.HuggingFace;

internal abstract class Model
{
    public abstract string Name { get; }

    public abstract IReadOnlyList<string?> Tokens { get; }

    public abstract int Id(ReadOnlySpan<char> token);

    /// <summary>Number of tokens; added tokens are numbered from here.</summary>
    public abstract int Size { get; }

    /// <summary>Whether bytes can be encoded directly: every byte symbol is a token, and nothing is added around symbols.</summary>
    public virtual bool ReadsBytes => false;

    public abstract ModelEncoder CreateEncoder(bool readsBytes);
}

/// <summary>Builds models from their JSON; add new kinds here.</summary>
internal static class ModelReader
{
    public static Model Read(JsonSection section) => (section.OptionalText("type") ?? Guess(section)) switch
    {
        "BPE" => BpeModel.Of(section),
        "WordPiece" => WordPieceModel.Of(section),
        "WordLevel" => WordLevelModel.Of(section),
        "Unigram" => UnigramModel.Of(section),
        var type => throw section.Unsupported($"the model {type}"),
    };

    /// <summary>Files from before 2022 do not name the model; its fields tell.</summary>
    private static string Guess(JsonSection section) =>
        section.Has("merges") ? "BPE"
        : section.Content["vocab"] is JsonArray ? "Unigram"
        : section.Has("max_input_chars_per_word") ? "WordPiece"
        : section.Has("unk_token") ? "WordLevel"
        : throw section.Damaged("type is missing");
}

/// <summary>Tokenizes pieces, caching common ones. Not thread-safe.</summary>
internal abstract class ModelEncoder : PieceSink
{
    private readonly WordCache cache = new();

    public IdBuffer Output { get; } = new();

    /// <summary>Where in the caller's text the pieces come from, for errors.</summary>
    public int Position { get; set; }

    public sealed override void Accept(ReadOnlySpan<char> piece, bool atStart)
    {
        if (piece.Length > WordCache.LongestPiece)
        {
            Tokenize(piece);
            return;
        }
        var hash = WordCache.Hash(piece);
        if (cache.TryAppend(piece, hash, Output))
            return;
        var start = Output.Count;
        Tokenize(piece);
        cache.Add(piece, hash, Output.Written[start..]);
    }

    protected abstract void Tokenize(ReadOnlySpan<char> piece);

    protected EncodingException Unknown(ReadOnlySpan<char> piece, string unknownToken) => new(
        $"\"{(piece.Length > 40 ? string.Concat(piece[..40], "…") : piece)}\" is not in the vocabulary, which has no token for unknown "
        + $"words{unknownToken} either; "
        + "remove or replace it, or use another tokenizer", Position);
}

internal sealed class Vocabulary
{
    /// <summary>Far above any real vocabulary; larger ids mean a damaged file and would blow up the table.</summary>
    private const int LargestId = 1 << 24;

    private readonly Dictionary<string, int> ids;
    private readonly Dictionary<string, int>.AlternateLookup<ReadOnlySpan<char>> lookup;

    private Vocabulary(Dictionary<string, int> ids, string?[] tokens)
    {
        this.ids = ids;
        lookup = ids.GetAlternateLookup<ReadOnlySpan<char>>();
        Tokens = tokens;
    }

    public IReadOnlyList<string?> Tokens { get; }

    public int Count => ids.Count;

    public int Id(ReadOnlySpan<char> token) => lookup.TryGetValue(token, out var id) ? id : -1;

    public static Vocabulary Of(JsonSection model)
    {
        if (model.Content["vocab"] is not JsonObject entries)
            throw model.Damaged("vocab must be an object of ids by token");
        var ids = new Dictionary<string, int>(entries.Count, StringComparer.Ordinal);
        var largest = -1;
        foreach (var (token, value) in entries)
        {
            var id = value is JsonValue number && number.TryGetValue<int>(out var parsed) && parsed is >= 0 and <= LargestId
                ? parsed
                : throw model.Damaged($"vocab gives the token \"{token}\" the id {value?.ToJsonString() ?? "null"}, "
                    + $"not a number from 0 to {LargestId}");
            ids[model.Whole("vocab", token)] = id;
            largest = Math.Max(largest, id);
        }
        var tokens = new string?[largest + 1];
        foreach (var (token, id) in ids)
            tokens[id] = token;
        return new Vocabulary(ids, tokens);
    }

    public static Vocabulary Of(IReadOnlyList<string> tokens)
    {
        var ids = new Dictionary<string, int>(tokens.Count, StringComparer.Ordinal);
        for (var id = 0; id < tokens.Count; id++)
            ids[tokens[id]] = id;
        return new Vocabulary(ids, [.. tokens]);
    }
}

internal sealed class ByteTokens
{
    private readonly int[] ids;

    public ByteTokens(Func<string, int> find) => ids = [.. Enumerable.Range(0, 256).Select(value => find($"<0x{value:X2}>"))];

    /// <summary>Appends the tokens of a text's bytes if all are in the vocabulary.</summary>
    public bool TryAppend(ReadOnlySpan<char> text, IdBuffer output)
    {
        var bytes = Encoding.UTF8.GetBytes(text.ToString());
        if (Array.Exists(bytes, value => ids[value] < 0))
            return false;
        foreach (var value in bytes)
            output.Add(ids[value]);
        return true;
    }
}
