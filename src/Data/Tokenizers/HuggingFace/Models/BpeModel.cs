using System.Text.Json.Nodes;

namespace Trainer.Data.HuggingFace;

/// <summary>Byte-pair encoding over characters or, after ByteLevel, over bytes.</summary>
internal sealed class BpeModel : Model
{
    private readonly Vocabulary vocabulary;
    private readonly MergeTable merges;

    private BpeModel(Part part)
    {
        if (part.Content["dropout"] is { } dropout && !(dropout is JsonValue value && value.TryGetValue<double>(out var chance) && chance == 0))
            throw part.Unsupported($"dropout {dropout.ToJsonString()}, which makes results random,");
        vocabulary = Vocabulary.Of(part);
        UnknownToken = part.OptionalText("unk_token");
        Prefix = part.OptionalText("continuing_subword_prefix") ?? "";
        Suffix = part.OptionalText("end_of_word_suffix") ?? "";
        FuseUnknown = part.Flag("fuse_unk", false);
        ByteFallback = part.Flag("byte_fallback", false);
        IgnoreMerges = part.Flag("ignore_merges", false);
        merges = new MergeTable(ReadMerges(part));
        ByteIds = [.. Enumerable.Range(0, 256).Select(value => vocabulary.Id([ByteLevelAlphabet.Symbol((byte)value)]))];
    }

    public static BpeModel Of(Part part) => new(part);

    public override string Name => "bpe";

    public override IReadOnlyList<string?> Tokens => vocabulary.Tokens;

    public override int Size => vocabulary.Count;

    public override bool ReadsBytes => Prefix.Length == 0 && Suffix.Length == 0 && Array.TrueForAll(ByteIds, id => id >= 0);

    public string? UnknownToken { get; }

    /// <summary>What stands before every symbol of a word but the first.</summary>
    public string Prefix { get; }

    /// <summary>What stands after the last symbol of a word.</summary>
    public string Suffix { get; }

    public bool FuseUnknown { get; }

    /// <summary>Whether unknown characters become their bytes, as the tokens &lt;0x00&gt; to &lt;0xFF&gt;.</summary>
    public bool ByteFallback { get; }

    /// <summary>Whether a piece that is a token is taken whole.</summary>
    public bool IgnoreMerges { get; }

    /// <summary>The ids of the bytes' symbols; −1 where there is none.</summary>
    public int[] ByteIds { get; }

    public override int Id(ReadOnlySpan<char> token) => vocabulary.Id(token);

    public override ModelEncoder CreateEncoder(bool readsBytes) =>
        readsBytes ? new ByteBpeEncoder(this, new Merger(merges)) : new CharacterBpeEncoder(this, new Merger(merges));

    private List<(int, int, int)> ReadMerges(Part part)
    {
        var list = part.List("merges");
        var read = new List<(int, int, int)>(list.Count);
        foreach (var item in list)
        {
            var (left, right) = Pair(part, item);
            var mergedId = right.Length < Prefix.Length ? -1 : Id(string.Concat(left, right.AsSpan(Prefix.Length)));
            if (Id(left) is var leftId and >= 0 && Id(right) is var rightId and >= 0 && mergedId >= 0)
                read.Add((leftId, rightId, mergedId));
            else
                throw part.Damaged($"merges joins \"{left}\" and \"{right}\", of which vocab lacks one or the result");
        }
        return read;
    }

    /// <summary>Both ways of writing a merge: "a b" and ["a", "b"].</summary>
    private static (string Left, string Right) Pair(Part part, JsonNode? item)
    {
        if (item is JsonArray { Count: 2 } pair && pair[0] is JsonValue first && first.TryGetValue<string>(out var left)
            && pair[1] is JsonValue second && second.TryGetValue<string>(out var right))
            return (left, right);
        return item is JsonValue line && line.TryGetValue<string>(out var text) && text.Split(' ') is [var before, var after]
            ? (before, after)
            : throw part.Damaged($"merges holds {item?.ToJsonString() ?? "null"}, not \"a b\" or [\"a\", \"b\"]");
    }
}
