using System.Text;
using System.Text.Json.Nodes;

namespace Trainer.Data.Tokenizers.HuggingFace;

/// <summary>The segmentation of highest score (Kudo 2018).</summary>
internal sealed class UnigramModel : Model
{
    private readonly Vocabulary vocabulary;

    private UnigramModel(JsonSection section)
    {
        var (tokens, scores) = (new List<string>(), new List<double>());
        foreach (var item in section.List("vocab"))
        {
            if (item is not JsonArray { Count: 2 } pair || pair[0] is not JsonValue name || !name.TryGetValue<string>(out var token)
                || pair[1] is not JsonValue number || !number.TryGetValue<double>(out var score))
                throw section.Damaged($"vocab holds {item?.ToJsonString() ?? "null"}, not [token, score]");
            tokens.Add(section.Whole("vocab", token));
            scores.Add(score);
        }
        vocabulary = Vocabulary.Of(tokens);
        Scores = scores;
        UnknownId = section.Has("unk_id") ? section.Count("unk_id", null) : -1;
        if (UnknownId >= tokens.Count)
            throw section.Damaged($"unk_id is {UnknownId}, and vocab has {tokens.Count} tokens");
        ByteFallback = section.Flag("byte_fallback", false);
        Trie = new PieceTrie(tokens);
    }

    public static UnigramModel Of(JsonSection section) => new(section);

    public override string Name => "unigram";

    public override IReadOnlyList<string?> Tokens => vocabulary.Tokens;

    public override int Size => vocabulary.Tokens.Count;

    public IReadOnlyList<double> Scores { get; }

    public int UnknownId { get; }

    public bool ByteFallback { get; }

    public PieceTrie Trie { get; }

    public override int Id(ReadOnlySpan<char> token) => vocabulary.Id(token);

    public override ModelEncoder CreateEncoder(bool readsBytes) => new UnigramEncoder(this);
}

internal sealed class UnigramEncoder(UnigramModel model) : ModelEncoder
{
    /// <summary>How much worse than the worst token an unknown character scores.</summary>
    private const double UnknownPenalty = 10;

    private readonly double unknownScore = model.Scores.DefaultIfEmpty(double.PositiveInfinity).Min() - UnknownPenalty;
    private readonly ByteTokens? byteTokens = model.ByteFallback ? new ByteTokens(token => model.Id(token)) : null;
    private Node[] best = [];

    protected override void Tokenize(ReadOnlySpan<char> piece)
    {
        if (best.Length <= piece.Length)
            best = new Node[piece.Length + 1];
        best.AsSpan(0, piece.Length + 1).Fill(new Node(0, 0, -1));
        for (var start = 0; start < piece.Length;)
        {
            Rune.DecodeFromUtf16(piece[start..], out _, out var length);
            Extend(piece, start, length);
            start += length;
        }
        Emit(piece, Backtrack(piece.Length));
    }

    private void Extend(ReadOnlySpan<char> piece, int start, int length)
    {
        var known = false;
        for (var (node, end) = (0, start); end < piece.Length && model.Trie.Step(ref node, piece[end], out var id); end++)
        {
            if (id < 0)
                continue;
            Offer(start, end + 1, id, model.Scores[id]);
            known |= end + 1 - start == length;
        }
        if (known)
            return;
        var isBetter = best[start + length].Start < 0 || unknownScore + best[start].Score > best[start + length].Score;
        if (isBetter && model.UnknownId < 0)
            throw Unknown(piece.Slice(start, length), " (unk_id)");
        Offer(start, start + length, model.UnknownId, unknownScore);
    }

    private void Offer(int start, int end, int id, double score)
    {
        var total = score + best[start].Score;
        if (best[end].Start < 0 || total > best[end].Score)
            best[end] = new Node(id, total, start);
    }

    private Stack<(int Start, int End, int Id)> Backtrack(int end)
    {
        var path = new Stack<(int, int, int)>();
        while (end > 0)
        {
            path.Push((best[end].Start, end, best[end].Id));
            end = best[end].Start;
        }
        return path;
    }

    /// <summary>Fuses adjacent unknown characters; looks each segment up again, as Hugging Face's library does.</summary>
    private void Emit(ReadOnlySpan<char> piece, Stack<(int Start, int End, int Id)> path)
    {
        while (path.TryPop(out var segment))
        {
            while (segment.Id == model.UnknownId && model.UnknownId >= 0 && path.TryPeek(out var next) && next.Id == model.UnknownId)
                segment = (segment.Start, path.Pop().End, segment.Id);
            var text = piece[segment.Start..segment.End];
            var id = model.Id(text);
            if (id >= 0)
                Output.Add(id);
            else if (byteTokens is null || !byteTokens.TryAppend(text, Output))
                Output.Add(model.UnknownId >= 0 ? model.UnknownId : throw Unknown(text, " (unk_id)"));
        }
    }

    private readonly record struct Node(int Id, double Score, int Start);
}

/// <summary>A trie of tokens over UTF-16 units, stored as one table of (node, unit) → node.</summary>
internal sealed class PieceTrie
{
    private readonly Dictionary<(int Node, char Unit), int> children = [];
    private readonly List<int> ids = [-1];

    /// <summary>Skips empty tokens; the last of equal tokens counts.</summary>
    public PieceTrie(IReadOnlyList<string> tokens)
    {
        for (var id = 0; id < tokens.Count; id++)
        {
            var node = 0;
            foreach (var unit in tokens[id])
            {
                if (!children.TryGetValue((node, unit), out var child))
                {
                    children[(node, unit)] = child = ids.Count;
                    ids.Add(-1);
                }
                node = child;
            }
            if (node != 0)
                ids[node] = id;
        }
    }

    /// <summary>Follows a unit from a node (0 is the root), if any token does; <paramref name="id"/> is the token there or −1.</summary>
    public bool Step(ref int node, char unit, out int id)
    {
        if (!children.TryGetValue((node, unit), out node))
        {
            id = -1;
            return false;
        }
        id = ids[node];
        return true;
    }
}
