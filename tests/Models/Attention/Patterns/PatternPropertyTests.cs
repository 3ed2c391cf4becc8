using TorchSharp;
using Trainer.Models.Attention.Patterns;
using Trainer.Tests;
using static TorchSharp.torch;

namespace Trainer.Models.Tests.Attention.Patterns;

public class PatternPropertyTests
{
    private const int Length = 53;

    public static TheoryData<string> Names() => PatternCases.Names();

    [Theory]
    [MemberData(nameof(Names))]
    public void The_mask_is_the_definition_at_absolute_positions(string name)
    {
        using DisposeScope scope = NewDisposeScope();
        var (options, sees) = PatternCases.All[name];
        AttentionPattern pattern = options.Build();
        foreach ((PositionSpan queries, PositionSpan keys) in
            ((PositionSpan, PositionSpan)[])[(new(0, Length), new(0, Length)), (new(41, 5), new(0, 46)), (new(30, 1), new(17, 14))])
        {
            bool[] mask = pattern.Mask(queries, keys, CPU).reshape(-1).data<bool>().ToArray();
            for (int i = 0; i < queries.Count; i++)
            for (int j = 0; j < keys.Count; j++)
            {
                (int query, int key) = (queries.Start + i, keys.Start + j);
                Assert.True(mask[i * keys.Count + j] == sees(query, key), $"{query} → {key}");
            }
        }
    }

    [Theory]
    [MemberData(nameof(Names))]
    public void Every_position_sees_itself_and_causal_ones_nothing_later(string name)
    {
        using DisposeScope scope = NewDisposeScope();
        PatternOptions options = PatternCases.All[name].Options;
        Tensor mask = options.Build().Mask(new(0, Length), new(0, Length), CPU);
        Assert.True(mask.logical_or(eye(Length).eq(0)).all().item<bool>());
        bool seesLater = mask.to_type(ScalarType.Int32).triu(1).sum().item<long>() > 0;
        // "sliding of one" and the like see nothing later without being asked; what says it is causal must not.
        Assert.Equal(options.IsCausal, !seesLater);
    }

    [Theory]
    [MemberData(nameof(Names))]
    public void The_parts_of_a_pattern_are_the_pattern_without_overlap(string name)
    {
        using DisposeScope scope = NewDisposeScope();
        AttentionPattern pattern = PatternCases.All[name].Options.Build();
        PositionSpan all = new(0, Length);
        Tensor sum = pattern.Parts.Select(part => part.Mask(all, all, CPU).to_type(ScalarType.Int32)).Aggregate((a, b) => a.add(b));
        TensorAssert.Same(pattern.Mask(all, all, CPU).to_type(ScalarType.Int32), sum);
    }

    [Theory]
    [MemberData(nameof(Names))]
    public void The_keys_of_some_queries_are_all_they_see_each_once(string name)
    {
        using DisposeScope scope = NewDisposeScope();
        foreach (AttentionPattern part in PatternCases.All[name].Options.Build().Parts)
        foreach (PositionRun queries in
            (PositionRun[])[new(0, 4, part.QueryStep), new(13, 6, part.QueryStep), new(20, 1, part.QueryStep), new(0, 10, part.QueryStep)])
        {
            PositionSpan keys = new(0, Length);
            int[] listed = [.. part.KeysOf(queries, Length).SelectMany(keys.Clip).SelectMany(Each)];
            Assert.Equal(listed.Distinct().Count(), listed.Length);
            foreach (int query in Each(queries))
            {
                bool[] seen = part.Mask(new(query, 1), keys, CPU).reshape(-1).data<bool>().ToArray();
                Assert.Empty(Enumerable.Range(0, Length).Where(key => seen[key]).Except(listed));
            }
        }
    }

    private static IEnumerable<int> Each(PositionRun run) =>
        Enumerable.Range(0, Math.Max(0, run.Count)).Select(index => run.Start + index * run.Step);
}
