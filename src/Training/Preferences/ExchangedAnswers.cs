using Trainer.Data.Batches;

namespace Trainer.Training.Preferences;

/// <summary>The prompts of a step, each with the answer to another: texts that nobody wrote, of which KTO estimates how far a model is
/// from its reference.</summary>
internal static class ExchangedAnswers
{
    /// <summary>Rows of one document, cut at the right to <paramref name="longest"/>; none where there is one prompt.</summary>
    public static IEnumerable<Batch> Of(IReadOnlyList<Batch> batches, int longest)
    {
        // Each with the next one: all that are chosen, then all that are rejected, so that the next is of another prompt.
        ((int, int) Prompt, Answer Answer)[] all = [.. batches.SelectMany((batch, index) => Find(batch).Select(
            answer => ((index, answer.Row), answer))).OrderBy(one => one.answer.Document)];
        int rows = batches.Max(batch => batch.Rows) * 2;
        return all.Select((one, index) => (One: one, Next: all[(index + 1) % all.Length]))
            .Where(pair => pair.One.Prompt != pair.Next.Prompt).Select(pair => pair.One.Answer.With(pair.Next.Answer, longest))
            .OrderBy(row => row.Inputs.Length).Chunk(rows).Select(Collate);
    }

    /// <summary>The answers of a batch, row by row.</summary>
    public static IReadOnlyList<Answer> Find(Batch batch)
    {
        List<Answer> found = [];
        for (int row = 0; row < batch.Rows; row++)
            for (int document = 0; document < 2; document++)
            {
                ReadOnlySpan<long> ids = batch.Documents.AsSpan(row * batch.Columns, batch.Columns);
                int from = ids.IndexOf(document), end = ids.LastIndexOf(document) + 1;
                if (from < 0) continue;
                Range place = (row * batch.Columns + from)..(row * batch.Columns + end);
                long[] targets = batch.Targets[place];
                int first = Array.FindIndex(targets, target => target != Batch.Ignored);
                int last = Array.FindLastIndex(targets, target => target != Batch.Ignored);
                if (first >= 0) found.Add(new(row, document, batch.Inputs[place], targets, first, last));
            }
        return found;
    }

    private static Batch Collate((long[] Inputs, long[] Targets)[] rows)
    {
        int columns = rows.Max(row => row.Inputs.Length);
        long[] inputs = new long[rows.Length * columns], targets = new long[inputs.Length], documents = new long[inputs.Length];
        Array.Fill(targets, Batch.Ignored);
        Array.Fill(documents, -1);
        foreach ((int index, (long[] own, long[] aims)) in rows.Index())
        {
            own.CopyTo(inputs, index * columns);
            aims.CopyTo(targets, index * columns);
            documents.AsSpan(index * columns, own.Length).Clear();
        }
        return new Batch(inputs, targets, rows.Length, columns) { Documents = documents };
    }
}

/// <summary>An answer with its prompt, a document of a batch's row: its targets from <paramref name="First"/> to <paramref name="Last"/>
/// are what is answered.</summary>
internal sealed record Answer(int Row, int Document, long[] Inputs, long[] Targets, int First, int Last)
{
    /// <summary>This prompt and another's answer.</summary>
    public (long[] Inputs, long[] Targets) With(Answer other, int longest)
    {
        long[] inputs = [.. Inputs[..(First + 1)], .. other.Inputs[(other.First + 1)..(other.Last + 1)]];
        long[] targets = [.. Enumerable.Repeat(Batch.Ignored, First), .. other.Targets[other.First..(other.Last + 1)]];
        int length = Math.Min(inputs.Length, longest);
        return (inputs[..length], targets[..length]);
    }
}
