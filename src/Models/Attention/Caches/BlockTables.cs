namespace Trainer.Models.Attention.Caches;

/// <summary>Which blocks of a pool hold each sequence, and which sequences share a block.</summary>
/// <remarks>Only the bookkeeping: the numbers themselves lie with <see cref="PagedCache"/>. All sequences are equally long.</remarks>
internal sealed class BlockTables
{
    private readonly List<int> users = []; // of each block, how many sequences have it
    private readonly Stack<int> free = [];
    private List<int>[] tables;

    /// <param name="sequences">Sequences, B.</param>
    public BlockTables(int sequences) => tables = [.. Enumerable.Range(0, sequences).Select(_ => new List<int>())];

    /// <summary>Sequences, B.</summary>
    public int Sequences => tables.Length;

    /// <summary>Blocks of each sequence.</summary>
    public int BlocksEach => tables[0].Count;

    /// <summary>Blocks there ever were: the pool must have room for so many.</summary>
    public int Blocks => users.Count;

    /// <summary>Blocks that some sequence has.</summary>
    public int InUse => users.Count - free.Count;

    /// <summary>The blocks of all sequences, one sequence after the other.</summary>
    public long[] All => [.. tables.SelectMany(table => table).Select(block => (long)block)];

    /// <summary>One block of each sequence.</summary>
    public long[] Column(int index) => [.. tables.Select(table => (long)table[index])];

    /// <summary>Gives each sequence a further block of its own.</summary>
    public void Grow()
    {
        foreach (List<int> table in tables) table.Add(Take());
    }

    /// <summary>Gives each sequence a block of its own in place of one that it shares.</summary>
    /// <returns>What is to be copied: from block, to block.</returns>
    public IReadOnlyList<(int From, int To)> Unshare(int index)
    {
        List<(int From, int To)> copies = [];
        foreach (List<int> table in tables)
        {
            int block = table[index];
            if (users[block] == 1) continue;
            users[block]--;
            table[index] = Take();
            copies.Add((block, table[index]));
        }
        return copies;
    }

    /// <summary>Makes each sequence share all blocks of one of the present ones, and frees those that nobody has any more.</summary>
    public void Reorder(IReadOnlyList<int> rows)
    {
        List<int>[] next = [.. rows.Select(row => new List<int>(tables[row]))];
        foreach (int block in next.SelectMany(table => table)) users[block]++;
        foreach (int block in tables.SelectMany(table => table))
        {
            if (--users[block] == 0) free.Push(block);
        }
        tables = next;
    }

    private int Take()
    {
        if (free.TryPop(out int block))
        {
            users[block] = 1;
            return block;
        }
        users.Add(1);
        return users.Count - 1;
    }
}
