using Trainer.Models.Attention.Patterns;

namespace Trainer.Models.Tests.Attention.Patterns;

/// <summary>Patterns with small figures, so that sequences of a few dozen positions show all their corners, each beside its definition in
/// plain C#.</summary>
internal static class PatternCases
{
    public static IReadOnlyDictionary<string, (PatternOptions Options, Func<int, int, bool> Sees)> All { get; } =
        new Dictionary<string, (PatternOptions, Func<int, int, bool>)>
        {
            ["full"] = (new FullOptions(), (_, _) => true),
            ["causal"] = (new CausalOptions(), (i, j) => j <= i),
            ["prefix"] = (new PrefixOptions { PrefixLength = 9 }, (i, j) => j <= i || (i < 9 && j < 9)),
            ["sliding of one"] = (new SlidingOptions { Window = 1 }, (i, j) => i == j),
            ["sliding"] = (new SlidingOptions { Window = 7 }, (i, j) => j <= i && j >= i - 7 + 1),
            ["sliding with sinks"] = (new SlidingOptions { Window = 5, Sinks = 3 }, (i, j) => j <= i && (j > i - 5 || j < 3)),
            ["sliding both ways"] = (new SlidingOptions { Window = 4, Causal = false, Sinks = 2 }, (i, j) => Math.Abs(i - j) <= 3 || j < 2),
            ["sliding beyond"] = (new SlidingOptions { Window = 1000 }, (i, j) => j <= i),
            ["strided"] = (new StridedOptions { Stride = 5 }, (i, j) => j <= i && (i - j < 5 || (i - j) % 5 == 0)),
            ["strided by one"] = (new StridedOptions { Stride = 1 }, (i, j) => j <= i),
            ["fixed"] = (new FixedOptions { Stride = 6, Summary = 2 }, (i, j) => j <= i && (j / 6 == i / 6 || j % 6 is 4 or 5)),
            ["fixed, all summary"] = (new FixedOptions { Stride = 3, Summary = 3 }, (i, j) => j <= i),
            ["longformer"] = (new LongformerOptions { Window = 4, GlobalTokens = 2 }, (i, j) => Math.Abs(i - j) < 4 || i < 2 || j < 2),
            ["longformer causal"] =
                (new LongformerOptions { Window = 4, GlobalTokens = 2, Causal = true }, (i, j) => j <= i && (i - j < 4 || i < 2 || j < 2)),
            ["bigbird"] = BigBird(causal: false),
            ["bigbird causal"] = BigBird(causal: true),
            ["bigbird without links"] =
                (new BigBirdOptions { BlockSize = 3, GlobalBlocks = 0, RandomBlocks = 0 }, (i, j) => Math.Abs(i / 3 - j / 3) < 2),
        };

    public static TheoryData<string> Names() => [.. All.Keys];

    // The drawn blocks are asked of the pattern's own generator: what a test can say of them is said in RandomLinksTests.
    private static (PatternOptions, Func<int, int, bool>) BigBird(bool causal)
    {
        BigBirdOptions options = new() { BlockSize = 4, WindowBlocks = 2, GlobalBlocks = 1, RandomBlocks = 2, Seed = 7, Causal = causal };
        RandomLinks links = new(2, 1, 2, 7);
        return (options, (i, j) =>
        {
            (int row, int column) = (i / 4, j / 4);
            bool back = Math.Abs(row - column) < 2 || column < 1 || links.Of(row).Contains(column);
            return causal ? back && j <= i : back || row < 1 || links.Of(column).Contains(row);
        });
    }
}
