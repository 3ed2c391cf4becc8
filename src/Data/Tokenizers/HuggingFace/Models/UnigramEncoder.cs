using System.Text;

namespace Trainer.Data.HuggingFace;

/// <summary>Finds the best segmentation of a piece by Viterbi's algorithm.</summary>
internal sealed class UnigramEncoder(UnigramModel model) : ModelEncoder
{
    /// <summary>How much worse than the worst token an unknown character is.</summary>
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

    /// <summary>The segments of the best path, in order.</summary>
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

    /// <summary>Neighbouring unknown characters are one; each segment is then looked up again, as Hugging Face's library does.</summary>
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
