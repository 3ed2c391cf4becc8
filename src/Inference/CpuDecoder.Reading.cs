using Trainer.Inference.Paging;

namespace Trainer.Inference;

// Which sequences there are: how prompts are read, and who has room.
internal sealed unsafe partial class CpuDecoder
{
    // More tokens of a prompt are worth the model's matrix products.
    private const int ShortPiece = 32;

    // Blocks for each present sequence that must be left when another is added, or that one would soon have to go again.
    private const int Headroom = 2;

    public ReadOnlySpan<float> Begin(IReadOnlyList<int> prompt)
    {
        Reorder([]);
        return Add(prompt);
    }

    /// <summary>Adds a sequence behind the present ones; returns its logits (V), valid until the next call.</summary>
    public ReadOnlySpan<float> Add(IReadOnlyList<int> prompt)
    {
        if (!TryAdd(prompt, [])) throw new InvalidOperationException("There is no room for another sequence.");
        ReadOnlySpan<float> next;
        while ((next = Read()).IsEmpty) { }
        return next;
    }

    /// <summary>Begins to read a sequence that is added behind the present ones; false where there is no room for it now.</summary>
    /// <param name="prompt">Token ids, at least one.</param>
    /// <param name="continuation">Those that were generated after the prompt before.</param>
    public bool TryAdd(IReadOnlyList<int> prompt, IReadOnlyList<int> continuation)
    {
        int length = prompt.Count + continuation.Count;
        if (prompt.Count == 0 || length > capacity)
            throw new ArgumentException($"A prompt has 1 to {capacity} tokens, not {length}.", nameof(prompt));
        if (reading is not null || present.Count == sequences) return false;
        PagedSequence sequence = prefixes?.Find(prompt) ?? memory.NewSequence();
        reading = new(model, memory, capacity, prompt, continuation, sequence);
        if (Reserve(() => memory.TryReserve(sequence, length) && memory.FreeBlocks >= Headroom * present.Count)) return true;
        StopReading();
        return false;
    }

    /// <summary>The part of the memory for keys and values that is taken.</summary>
    public double MemoryUse => memory.Use;

    /// <summary>Tokens of the prompt being read that were known already; 0 where none is read.</summary>
    public int SharedTokens => reading?.Shared ?? 0;

    /// <summary>Reads a piece of the prompt; returns the logits (V) of the sequence, valid until the next call, or nothing where there is
    /// more to read. A failure ends the reading.</summary>
    public ReadOnlySpan<float> Read()
    {
        PagedSequence sequence = reading!.Sequence;
        try
        {
            IReadOnlyList<int> tokens = reading.NextTokens();
            if (!reading.IsInPrompt || tokens.Count <= (readsPieces ? MaxSequences : ShortPiece))
            {
                ReadRows(sequence, tokens);
            }
            else if (readsPieces)
            {
                ReadPiece(sequence, tokens);
            }
            else
            {
                reading.PrepareModel();
                Require(sequence, sequence.Length + tokens.Count, from: sequence.Length + tokens.Count);
                reading.ReadByModel(tokens, new(logits, model.VocabularySize));
            }
            if (reading.EndsPiece) prefixes?.Add(reading.Prompt, sequence);
        }
        catch
        {
            StopReading();
            throw;
        }
        if (!reading.IsDone) return [];
        present.Add(sequence);
        reading.Dispose();
        reading = null;
        return new(logits, model.VocabularySize);
    }

    /// <summary>Gives up the sequence being read.</summary>
    public void StopReading()
    {
        if (reading is null) return;
        memory.Release(reading.Sequence);
        reading.Dispose();
        reading = null;
    }

    /// <summary>Makes room for another token of each sequence; false where there is none now.</summary>
    public bool TryReserveNext() =>
        present.TrueForAll(sequence => Reserve(() => memory.TryReserve(sequence, sequence.Length + 1, sequence.Length)));

    // All tokens are rows of one pass.
    private void ReadPiece(PagedSequence sequence, IReadOnlyList<int> tokens)
    {
        int count = tokens.Count, first = sequence.Length;
        for (int row = 0; row < count; row++) Embed(row, tokens[row], first + row);
        Require(sequence, first + count, first + count);
        for (int row = 0; row < count; row++) rows.Locate(row, sequence, first + row);
        team.Run(
            () =>
            {
                Forward(count, AttendPiece);
                if (first + count == reading!.Prompt.Count) Predict(x + (long)(count - 1) * options.Dim, 1);
            },
            alone: false);
        sequence.Length += count;
        Scaled(1);
    }

    // A few tokens at a time are rows of one pass: each sees those before it, whose keys and values are stored by then.
    private void ReadRows(PagedSequence sequence, IEnumerable<int> tokens)
    {
        foreach (int[] some in tokens.Chunk(MaxSequences))
        {
            int count = some.Length, first = sequence.Length;
            for (int row = 0; row < count; row++) Embed(row, some[row], first + row);
            Require(sequence, first + count, first);
            for (int row = 0; row < count; row++) rows.Locate(row, sequence, first + row);
            Share(count, () =>
            {
                Forward(count, Attend);
                Predict(x + (count - 1) * options.Dim, 1);
            });
            sequence.Length += count;
        }
        Scaled(1);
    }

    public void Reorder(IReadOnlyList<int> sequences)
    {
        PagedSequence[] next = [.. sequences.Select(sequence => memory.Fork(present[sequence]))];
        present.ForEach(memory.Release);
        present.Clear();
        present.AddRange(next);
    }

    private void Require(PagedSequence sequence, int length, int from)
    {
        if (!Reserve(() => memory.TryReserve(sequence, length, from)))
            throw new InvalidOperationException("There is no room for another position.");
    }

    // Prompts that were kept for others make room.
    private bool Reserve(Func<bool> reserve)
    {
        while (!reserve())
            if (prefixes is null || !prefixes.Forget()) return false;
        return true;
    }
}
