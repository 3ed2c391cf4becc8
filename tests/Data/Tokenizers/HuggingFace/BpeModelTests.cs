using FsCheck.Fluent;
using Trainer.Data.Tokenizers.HuggingFace;

namespace Trainer.Data.Tests.Tokenizers.HuggingFace;

public sealed class BpeModelTests
{
    /// <summary>Merges of all pairs of four letters, then of the results, in scrambled order.</summary>
    private static readonly (int Left, int Right, int Merged)[] Merges =
        [.. Enumerable.Range(0, 144).Select(i => i * 89 % 144).Select(i => (i / 12, i % 12, 4 + i % 40))];

    [Fact]
    public void Pieces_of_any_length_merge_as_the_definition_says() =>
        Prop.ForAll(Gen.Choose(0, 3).ListOf().Resize(400).ToArbitrary(), letters =>
        {
            int[] symbols = [.. letters];
            var expected = Define([.. letters]);
            var count = new BpeMerger(new MergeTable(Merges)).Merge(symbols);
            Assert.Equal(expected, symbols.Take(count));
        }).Holds(200);

    [Fact]
    public void A_long_piece_takes_no_quadratic_time()
    {
        var symbols = Enumerable.Range(0, 2_000_000).Select(i => i * 31 % 4).ToArray();
        Assert.InRange(new BpeMerger(new MergeTable(Merges)).Merge(symbols), 1, symbols.Length * 3 / 4);
    }

    private static List<int> Define(List<int> symbols)
    {
        while (true)
        {
            var best = Enumerable.Range(0, Math.Max(0, symbols.Count - 1))
                .Select(i => (Position: i,
                Rank: Array.FindLastIndex(Merges, merge => merge.Left == symbols[i] && merge.Right == symbols[i + 1])))
                .Where(pair => pair.Rank >= 0)
                .OrderBy(pair => pair.Rank).ThenBy(pair => pair.Position)
                .Select(pair => ((int, int)?)(pair.Position, pair.Rank)).FirstOrDefault();
            if (best is not ({ } position, { } rank))
                return symbols;
            symbols[position] = Merges[rank].Merged;
            symbols.RemoveAt(position + 1);
        }
    }
}
