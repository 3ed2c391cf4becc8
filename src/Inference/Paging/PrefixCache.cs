namespace Trainer.Inference.Paging;

/// <summary>Keeps the keys and values of prompts, so that later prompts that begin in the same way (a system prompt, the turns of a chat)
/// need not be read again. What was used least recently is forgotten where memory is needed.</summary>
/// <param name="memory">Whose blocks are shared.</param>
/// <param name="piece">Tokens in which prompts are compared; a multiple of a block, so that nobody writes to what is shared.</param>
internal sealed class PrefixCache(PagedKeyValues memory, int piece)
{
    private readonly Dictionary<Key, Entry> entries = [];
    private long clock;

    /// <summary>A sequence with the longest known beginning of a prompt, its last token excluded; null where none is known.</summary>
    public PagedSequence? Find(IReadOnlyList<int> prompt) =>
        Known(prompt, prompt.Count - 1) is { } entry ? memory.Fork(entry.Sequence) : null;

    /// <summary>Remembers a prompt as far as it was read, a whole number of pieces.</summary>
    public void Add(IReadOnlyList<int> prompt, PagedSequence sequence)
    {
        Entry? before = Known(prompt, sequence.Length - piece);
        if ((before?.Sequence.Length ?? 0) != sequence.Length - piece) return; // forgotten meanwhile
        Key key = Key.Of(before, prompt, sequence.Length - piece, piece);
        if (entries.ContainsKey(key)) return;
        entries.Add(key, new(key, memory.Fork(sequence)) { LastUse = ++clock });
        if (before is not null) Touch(before);
    }

    /// <summary>Forgets what was used least recently, and frees memory by it; false where nothing is left that does.</summary>
    public bool Forget()
    {
        // What running texts have, too, frees nothing. Under a window an entry may have no block, and one that frees some lies behind it.
        Entry? oldest = entries.Values.Where(entry => memory.Forgets || memory.IsAlone(entry.Sequence)).MinBy(entry => entry.LastUse);
        if (oldest is null) return false;
        entries.Remove(oldest.Key);
        memory.Release(oldest.Sequence);
        return true;
    }

    private Entry? Known(IReadOnlyList<int> prompt, int most)
    {
        Entry? known = null;
        for (int first = 0; first + piece <= most; first += piece)
        {
            if (!entries.TryGetValue(Key.Of(known, prompt, first, piece), out Entry? next)) break;
            known = next;
        }
        if (known is not null) Touch(known);
        return known;
    }

    // A beginning counts as used after what continues it, so that it is forgotten later.
    private void Touch(Entry entry)
    {
        for (Entry? one = entry; one is not null; one = one.Key.Before) one.LastUse = ++clock;
    }

    private sealed class Entry(Key key, PagedSequence sequence)
    {
        public Key Key => key;

        public PagedSequence Sequence => sequence;

        public long LastUse { get; set; }
    }

    /// <summary>A piece of tokens after others.</summary>
    private readonly struct Key : IEquatable<Key>
    {
        private readonly int[] tokens;
        private readonly int hash;

        private Key(Entry? before, int[] tokens)
        {
            (Before, this.tokens) = (before, tokens);
            HashCode sum = new();
            sum.Add(before is null ? 0 : before.Key.hash);
            foreach (int token in tokens) sum.Add(token);
            hash = sum.ToHashCode();
        }

        public Entry? Before { get; }

        public static Key Of(Entry? before, IReadOnlyList<int> prompt, int first, int count) =>
            new(before, [.. prompt.Skip(first).Take(count)]);

        public bool Equals(Key other) =>
            hash == other.hash && ReferenceEquals(Before, other.Before) && tokens.AsSpan().SequenceEqual(other.tokens);

        public override bool Equals(object? other) => other is Key key && Equals(key);

        public override int GetHashCode() => hash;
    }
}
