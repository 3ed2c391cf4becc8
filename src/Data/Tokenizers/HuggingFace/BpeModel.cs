using System.Buffers;
using System.Text;
using System.Text.Json.Nodes;

namespace Trainer.Data.Tokenizers.HuggingFace;

/// <summary>Byte-pair encoding over characters or, after ByteLevel, over bytes.</summary>
internal sealed class BpeModel : Model
{
    private readonly Vocabulary vocabulary;
    private readonly MergeTable merges;

    private BpeModel(JsonSection section)
    {
        if (section.Content["dropout"] is { } dropout
            && !(dropout is JsonValue value && value.TryGetValue<double>(out var chance) && chance == 0))
            throw section.Unsupported($"dropout {dropout.ToJsonString()}, which makes results random,");
        vocabulary = Vocabulary.Of(section);
        UnknownToken = section.OptionalText("unk_token");
        Prefix = section.OptionalText("continuing_subword_prefix") ?? "";
        Suffix = section.OptionalText("end_of_word_suffix") ?? "";
        FuseUnknown = section.Flag("fuse_unk", false);
        ByteFallback = section.Flag("byte_fallback", false);
        IgnoreMerges = section.Flag("ignore_merges", false);
        merges = new MergeTable(ReadMerges(section));
        ByteIds = [.. Enumerable.Range(0, 256).Select(value => vocabulary.Id([ByteLevelAlphabet.Symbol((byte)value)]))];
    }

    public static BpeModel Of(JsonSection section) => new(section);

    public override string Name => "bpe";

    public override IReadOnlyList<string?> Tokens => vocabulary.Tokens;

    public override int Size => vocabulary.Count;

    public override bool ReadsBytes => Prefix.Length == 0 && Suffix.Length == 0 && Array.TrueForAll(ByteIds, id => id >= 0);

    public string? UnknownToken { get; }

    /// <summary>Precedes every symbol of a word but the first.</summary>
    public string Prefix { get; }

    /// <summary>Follows the last symbol of a word.</summary>
    public string Suffix { get; }

    public bool FuseUnknown { get; }

    /// <summary>Whether unknown characters become byte tokens, &lt;0x00&gt; to &lt;0xFF&gt;.</summary>
    public bool ByteFallback { get; }

    public bool IgnoreMerges { get; }

    public int[] ByteIds { get; }

    public override int Id(ReadOnlySpan<char> token) => vocabulary.Id(token);

    public override ModelEncoder CreateEncoder(bool readsBytes) =>
        readsBytes ? new ByteBpeEncoder(this, new BpeMerger(merges)) : new CharacterBpeEncoder(this, new BpeMerger(merges));

    private List<(int, int, int)> ReadMerges(JsonSection section)
    {
        var list = section.List("merges");
        var read = new List<(int, int, int)>(list.Count);
        foreach (var item in list)
        {
            var (left, right) = Pair(section, item);
            var mergedId = right.Length < Prefix.Length ? -1 : Id(string.Concat(left, right.AsSpan(Prefix.Length)));
            if (Id(left) is var leftId and >= 0 && Id(right) is var rightId and >= 0 && mergedId >= 0)
                read.Add((leftId, rightId, mergedId));
            else
                throw section.Damaged($"merges joins \"{left}\" and \"{right}\", of which vocab lacks one or the result");
        }
        return read;
    }

    /// <summary>Merges are written "a b" or ["a", "b"].</summary>
    private static (string Left, string Right) Pair(JsonSection section, JsonNode? item)
    {
        if (item is JsonArray { Count: 2 } pair && pair[0] is JsonValue first && first.TryGetValue<string>(out var left)
            && pair[1] is JsonValue second && second.TryGetValue<string>(out var right))
            return (left, right);
        return item is JsonValue line && line.TryGetValue<string>(out var text) && text.Split(' ') is [var before, var after]
            ? (before, after)
            : throw section.Damaged($"merges holds {item?.ToJsonString() ?? "null"}, not \"a b\" or [\"a\", \"b\"]");
    }
}

internal sealed class ByteBpeEncoder(BpeModel model, BpeMerger merger) : ModelEncoder
{
    private byte[] bytes = new byte[1024];

    public void Tokenize(ReadOnlySpan<byte> piece)
    {
        if (model.IgnoreMerges && WholeToken(piece) is var whole and >= 0)
        {
            Output.Add(whole);
            return;
        }
        var symbols = Output.Reserve(piece.Length);
        for (var i = 0; i < piece.Length; i++)
            symbols[i] = model.ByteIds[piece[i]];
        Output.Advance(merger.Merge(symbols));
    }

    protected override void Tokenize(ReadOnlySpan<char> piece)
    {
        if (bytes.Length < piece.Length * 3)
            bytes = new byte[piece.Length * 4];
        Tokenize(bytes.AsSpan(0, Encoding.UTF8.GetBytes(piece, bytes)));
    }

    private int WholeToken(ReadOnlySpan<byte> piece)
    {
        var symbols = ArrayPool<char>.Shared.Rent(piece.Length);
        for (var i = 0; i < piece.Length; i++)
            symbols[i] = ByteLevelAlphabet.Symbol(piece[i]);
        var id = model.Id(symbols.AsSpan(0, piece.Length));
        ArrayPool<char>.Shared.Return(symbols);
        return id;
    }
}

internal sealed class CharacterBpeEncoder(BpeModel model, BpeMerger merger) : ModelEncoder
{
    private readonly ByteTokens? byteTokens = model.ByteFallback ? new ByteTokens(token => model.Id(token)) : null;
    private readonly int unknown = model.UnknownToken is null ? -1 : model.Id(model.UnknownToken);
    private readonly IdBuffer symbols = new();

    protected override void Tokenize(ReadOnlySpan<char> piece)
    {
        if (model.IgnoreMerges && model.Id(piece) is var whole and >= 0)
        {
            Output.Add(whole);
            return;
        }
        symbols.Clear();
        var pendingUnknown = false;
        for (var start = 0; start < piece.Length;)
        {
            Rune.DecodeFromUtf16(piece[start..], out _, out var length);
            Append(piece, start, length, ref pendingUnknown);
            start += length;
        }
        if (pendingUnknown)
            symbols.Add(unknown);
        var ids = Output.Reserve(symbols.Count);
        symbols.Written.CopyTo(ids);
        Output.Advance(merger.Merge(ids));
    }

    /// <summary>An unknown character waits until a known one follows, so that unknown ones fuse; byte tokens do not end the wait.</summary>
    private void Append(ReadOnlySpan<char> piece, int start, int length, ref bool pendingUnknown)
    {
        var id = Symbol(piece, start, length, out var symbol);
        if (id >= 0)
        {
            if (pendingUnknown)
                symbols.Add(unknown);
            pendingUnknown = false;
            symbols.Add(id);
        }
        else if (byteTokens is null || !byteTokens.TryAppend(symbol, symbols))
        {
            if (model.UnknownToken is null)
                return;   // Hugging Face's library drops such characters
            if (unknown < 0)
                throw Unknown(piece, $" ({model.UnknownToken})");
            if (pendingUnknown && !model.FuseUnknown)
                symbols.Add(unknown);
            pendingUnknown = true;
        }
    }

    private int Symbol(ReadOnlySpan<char> piece, int start, int length, out ReadOnlySpan<char> symbol)
    {
        symbol = piece.Slice(start, length);
        if (start > 0 && model.Prefix.Length > 0)
            symbol = string.Concat(model.Prefix, symbol);
        if (start + length == piece.Length && model.Suffix.Length > 0)
            symbol = string.Concat(symbol, model.Suffix);
        return model.Id(symbol);
    }
}

/// <summary>Merges the symbols of a piece: always the pair of lowest rank, leftmost first (Sennrich 2016).</summary>
internal sealed class BpeMerger(MergeTable table)
{
    /// <summary>Up to this length, rescanning all pairs is faster than a queue.</summary>
    private const int ShortPiece = 96;

    private int[] ranks = new int[ShortPiece];
    private int[] merged = new int[ShortPiece];
    private int[] previous = [];
    private int[] next = [];
    private readonly PriorityQueue<int, (int Rank, int Position)> queue = new();

    /// <summary>Merges in place and returns the number of tokens left, at the front.</summary>
    public int Merge(Span<int> symbols) => symbols.Length switch
    {
        < 2 => symbols.Length,
        <= ShortPiece => MergeShort(symbols),
        _ => MergeLong(symbols),
    };

    private int MergeShort(Span<int> symbols)
    {
        var count = symbols.Length;
        for (var i = 0; i + 1 < count; i++)
            ranks[i] = table.Rank(symbols[i], symbols[i + 1], out merged[i]);
        while (count > 1)
        {
            var (best, rank) = (-1, MergeTable.None);
            for (var i = 0; i + 1 < count; i++)
                if (ranks[i] < rank)
                    (best, rank) = (i, ranks[i]);
            if (best < 0)
                break;
            symbols[best] = merged[best];
            count--;
            symbols[(best + 2)..(count + 1)].CopyTo(symbols[(best + 1)..]);
            Array.Copy(ranks, best + 2, ranks, best + 1, Math.Max(0, count - 2 - best));
            Array.Copy(merged, best + 2, merged, best + 1, Math.Max(0, count - 2 - best));
            if (best > 0)
                ranks[best - 1] = table.Rank(symbols[best - 1], symbols[best], out merged[best - 1]);
            if (best + 1 < count)
                ranks[best] = table.Rank(symbols[best], symbols[best + 1], out merged[best]);
        }
        return count;
    }

    private int MergeLong(Span<int> symbols)
    {
        var count = symbols.Length;
        if (previous.Length < count)
            (previous, next, merged) = (new int[count], new int[count], new int[count]);
        if (ranks.Length < count)
            ranks = new int[count];
        queue.Clear();
        for (var i = 0; i < count; i++)
            (previous[i], next[i]) = (i - 1, i + 1 < count ? i + 1 : -1);
        for (var i = 0; i < count; i++)
            Offer(symbols, i);
        while (queue.TryDequeue(out var left, out var priority))
            if (ranks[left] == priority.Rank)   // otherwise the entry is stale
                MergeAt(symbols, left);
        var written = 0;
        for (var i = 0; i >= 0; i = next[i])
            symbols[written++] = symbols[i];
        return written;
    }

    private void MergeAt(Span<int> symbols, int left)
    {
        var right = next[left];
        symbols[left] = merged[left];
        ranks[right] = MergeTable.None;
        next[left] = next[right];
        if (next[left] >= 0)
            previous[next[left]] = left;
        Offer(symbols, left);
        if (previous[left] >= 0)
            Offer(symbols, previous[left]);
    }

    private void Offer(Span<int> symbols, int left)
    {
        ranks[left] = next[left] < 0 ? MergeTable.None : table.Rank(symbols[left], symbols[next[left]], out merged[left]);
        if (ranks[left] != MergeTable.None)
            queue.Enqueue(left, (ranks[left], left));
    }
}

/// <summary>The rank and result of each mergeable pair: open addressing on pairs of ids.</summary>
internal sealed class MergeTable
{
    public const int None = int.MaxValue;

    private readonly Entry[] entries;
    private readonly int mask;

    /// <summary>From merges by rank; the last of equal pairs counts, as in Hugging Face's library.</summary>
    public MergeTable(IReadOnlyList<(int Left, int Right, int Merged)> merges)
    {
        entries = new Entry[System.Numerics.BitOperations.RoundUpToPowerOf2((uint)Math.Max(16, merges.Count * 3))];
        mask = entries.Length - 1;
        for (var rank = 0; rank < merges.Count; rank++)
        {
            var key = Key(merges[rank].Left, merges[rank].Right);
            var slot = Slot(key);
            while (entries[slot].Key != 0 && entries[slot].Key != key)
                slot = (slot + 1) & mask;
            entries[slot] = new Entry(key, rank, merges[rank].Merged);
        }
    }

    public int Rank(int left, int right, out int merged)
    {
        var key = Key(left, right);
        for (var slot = Slot(key); ; slot = (slot + 1) & mask)
        {
            ref readonly var entry = ref entries[slot];
            if (entry.Key == key)
            {
                merged = entry.Merged;
                return entry.Rank;
            }
            if (entry.Key == 0)
            {
                merged = -1;
                return None;
            }
        }
    }

    /// <summary>Never 0, which marks a free slot.</summary>
    private static ulong Key(int left, int right) => ((ulong)(uint)(left + 1) << 32) | (uint)right;

    private int Slot(ulong key) => (int)((key * 0x9E37_79B9_7F4A_7C15) >> 33) & mask;

    private readonly record struct Entry(ulong Key, int Rank, int Merged);
}
