using TorchSharp;
using Trainer.Models.Attention.Patterns;
using static TorchSharp.torch;

namespace Trainer.Models.Tests.Attention.Patterns;

public class AttentionPatternTests
{
    [Fact]
    public void Full_sees_everything() =>
        Expect(new FullPattern(), new(0, 3), new(0, 3),
            """
            111
            111
            111
            """);

    [Fact]
    public void Causal_sees_itself_and_what_is_before() =>
        Expect(new CausalPattern(), new(0, 3), new(0, 3),
            """
            100
            110
            111
            """);

    [Fact]
    public void Positions_are_absolute_on_both_sides() =>
        Expect(new CausalPattern(), new(5, 2), new(3, 4),
            """
            1110
            1111
            """);

    private static void Expect(AttentionPattern pattern, PositionSpan queries, PositionSpan keys, string expected)
    {
        using DisposeScope scope = NewDisposeScope();
        bool[] mask = pattern.Mask(queries, keys, CPU).reshape(-1).data<bool>().ToArray();
        Assert.Equal(expected,
            string.Join('\n', mask.Chunk(keys.Count).Select(row => string.Concat(row.Select(seen => seen ? '1' : '0')))));
    }
}
