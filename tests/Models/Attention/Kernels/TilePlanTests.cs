using TorchSharp;
using Trainer.Kernels;
using Trainer.Models.Attention.Kernels;
using Trainer.Models.Attention.Patterns;
using Trainer.Models.Tests.Attention.Patterns;
using static TorchSharp.torch;

namespace Trainer.Models.Tests.Attention.Kernels;

public class TilePlanTests
{
    public static TheoryData<string> Names() => PatternCases.Names();

    /// <summary>Pattern, first query, queries.</summary>
    public static TheoryData<string, int, int> Spans() => new(
        from name in PatternCases.All.Keys
        from span in ((int, int)[])[(0, 400), (301, 70), (30, 1)]
        select (name, span.Item1, span.Item2));

    [Theory]
    [MemberData(nameof(Spans))]
    public void Each_visible_pair_stands_in_one_tile_and_no_other_pair_in_any(string name, int first, int count)
    {
        using DisposeScope scope = NewDisposeScope();
        AttentionPattern pattern = PatternCases.All[name].Options.Build();
        PositionSpan queries = new(first, count), keys = new(0, first + count);
        using TilePlan plan = TilePlan.Create(pattern, queries, keys, CPU);
        int[] covered = new int[queries.Count * keys.Count];
        foreach (AttentionTiles group in plan.Groups) Cover(group, covered, keys.Count);
        bool[] mask = pattern.Mask(queries, keys, CPU).reshape(-1).data<bool>().ToArray();
        Assert.Equal(mask.Select(seen => seen ? 1 : 0), covered);
    }

    [Theory]
    [MemberData(nameof(Names))]
    public void No_query_stands_twice_in_a_group_and_the_first_time_it_does_not_join(string name)
    {
        using DisposeScope scope = NewDisposeScope();
        using TilePlan plan = TilePlan.Create(PatternCases.All[name].Options.Build(), new(0, 400), new(0, 400), CPU);
        HashSet<long> seen = [];
        foreach (AttentionTiles group in plan.Groups)
        {
            long[] queries = group.Queries.reshape(-1).data<long>().ToArray();
            Assert.Equal(queries.Length, queries.Distinct().Count());
            if (!group.Joins) Assert.Empty(seen.Intersect(queries));
            seen.UnionWith(queries);
        }
        Assert.Equal(400, seen.Count);
    }

    public static TheoryData<string, PatternOptions, int, int> Costs() => new()
    {
        // The most pairs a query may cost at 16,384 positions, and the most groups.
        { "sliding 256", new SlidingOptions { Window = 256 }, 2 * 256, 8 },
        { "sliding 4096", new SlidingOptions { Window = 4096, Sinks = 4 }, 4096 + 2 * 256, 64 },
        { "strided", new StridedOptions { Stride = 128 }, 3 * 128 + 128, 8 },
        { "fixed", new FixedOptions { Stride = 128, Summary = 8 }, 128 + 1024, 200 },
        { "longformer", new LongformerOptions { Window = 128, GlobalTokens = 4 }, 2 * 128 + 200, 8 },
        { "bigbird", new BigBirdOptions { Causal = true }, 64 * 7, 16 },
        { "bigbird both ways", new BigBirdOptions(), 64 * 14, 64 },
    };

    [Theory]
    [MemberData(nameof(Costs))]
    public void Long_sequences_cost_what_is_visible_and_few_calls(string name, PatternOptions options, int pairsPerQuery, int groups)
    {
        Assert.NotEmpty(name);
        using DisposeScope scope = NewDisposeScope();
        using TilePlan plan = TilePlan.Create(options.Build(), new(0, 16384), new(0, 16384), CPU);
        Assert.InRange(plan.Pairs / 16384, 1, pairsPerQuery);
        Assert.InRange(plan.Groups.Count, 1, groups);
        Assert.InRange(plan.Groups.Sum(group => group.Mask?.numel() ?? 0), 0, 16384 * 256);
    }

    private static void Cover(AttentionTiles group, int[] covered, int width)
    {
        (long tiles, long m, long n) = (group.Queries.shape[0], group.Queries.shape[1], group.Keys.shape[1]);
        long[] queries = group.Queries.reshape(-1).data<long>().ToArray(), keys = group.Keys.reshape(-1).data<long>().ToArray();
        float[]? mask = group.Mask?.reshape(-1).data<float>().ToArray();
        for (long tile = 0; tile < tiles; tile++)
        for (long i = 0; i < m; i++)
        for (long j = 0; j < n; j++)
        {
            if (mask is null || mask[i * n + j] == 0) covered[queries[tile * m + i] * width + keys[tile * n + j]]++;
        }
    }
}
