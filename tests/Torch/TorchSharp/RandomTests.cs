using static TorchSharp.torch;

namespace Trainer.Torch.Tests.TorchSharp;

public sealed class RandomTests
{
    private static readonly Dictionary<string, Func<Generator?, Tensor>> Draws = new()
    {
        ["rand"] = generator => rand(17, generator: generator),
        ["randn"] = generator => randn(33, generator: generator),
        ["randint"] = generator => randint(0, 1000, [9], generator: generator),
        ["randperm"] = generator => randperm(50, generator: generator),
        ["normal_"] = generator => empty(5).normal_(2, 3, generator),
        ["uniform_"] = generator => empty(5).uniform_(-1, 1, generator),
        ["bernoulli_"] = generator => empty(50).bernoulli_(0.3, generator),
        ["multinomial"] = generator => tensor([0.1f, 0.2f, 0.7f]).multinomial(20, replacement: true, generator),
    };

    public static TheoryData<string> Names => [.. Draws.Keys];

    [Theory]
    [MemberData(nameof(Names))]
    public void A_restored_state_goes_on_with_the_same_numbers(string name)
    {
        using var scope = NewDisposeScope();
        using var generator = new Generator(42);
        Draws[name](generator);
        var state = generator.get_state();
        Tensor[] expected = [Draws[name](generator), randn(3, generator: generator), Draws[name](generator)];

        using var other = new Generator();
        other.set_state(state);
        TensorAssert.SameBits(expected[0], Draws[name](other));
        TensorAssert.SameBits(expected[1], randn(3, generator: other));
        TensorAssert.SameBits(expected[2], Draws[name](other));
    }

    // An odd count of normals leaves half a pair inside the generator; the state has to carry it.
    [Fact]
    public void The_default_generator_is_saved_and_restored_in_mid_sequence()
    {
        using var scope = NewDisposeScope();
        manual_seed(7).Dispose();
        randn(3);
        var state = get_rng_state();
        Tensor[] expected = [randn(3), nn.functional.dropout(ones(64)), rand(5)];
        set_rng_state(state);
        TensorAssert.SameBits(expected[0], randn(3));
        TensorAssert.SameBits(expected[1], nn.functional.dropout(ones(64)));
        TensorAssert.SameBits(expected[2], rand(5));
    }

    [Fact]
    public void The_same_seed_gives_the_same_numbers_and_another_seed_others()
    {
        using var scope = NewDisposeScope();
        using var seeded = manual_seed(5);
        Assert.Equal(5, seeded.initial_seed());
        var first = randn(8);
        manual_seed(5).Dispose();
        TensorAssert.SameBits(first, randn(8));
        Assert.False(randn(8).Equals(first));
        TensorAssert.SameBits(first, randn(8, generator: new Generator(5)));
    }

    [Fact]
    public void A_generator_of_one_s_own_leaves_the_default_one_alone()
    {
        using var scope = NewDisposeScope();
        var before = get_rng_state();
        randn(100, generator: new Generator(9));
        TensorAssert.SameBits(before, get_rng_state());
        using var shared = Generator.Default;
        TensorAssert.SameBits(before, shared.get_state());
        randn(100);
        Assert.False(before.Equals(shared.get_state()));
        using var sameOne = DefaultGenerators.Of(CPU);
        TensorAssert.SameBits(sameOne.get_state(), shared.get_state());
    }

    [Fact]
    public void A_state_of_the_wrong_size_is_an_error()
    {
        using var scope = NewDisposeScope();
        Assert.Throws<TorchException>(() => set_rng_state(zeros([3], ScalarType.Byte)));
        Assert.Throws<TorchException>(() => set_rng_state(zeros(5056)));
        using var generator = new Generator();
        generator.Dispose();
        Assert.Throws<ObjectDisposedException>(() => generator.get_state());
    }

    [Fact]
    public void Moments_are_those_asked_for()
    {
        using var scope = NewDisposeScope();
        using var generator = new Generator(1);
        var normal = empty(100_000).normal_(2, 3, generator);
        Assert.InRange(normal.mean().ToDouble(), 1.95, 2.05);
        Assert.InRange(normal.std(0).ToDouble(), 2.95, 3.05);
        var uniform = rand(100_000, generator: generator);
        Assert.InRange(uniform.min().ToDouble(), 0, 1e-3);
        Assert.InRange(uniform.max().ToDouble(), 1 - 1e-3, 1 - 1e-9);
        Assert.Equal(Enumerable.Range(0, 100).Select(i => (long)i), randperm(100, generator: generator).data<long>().ToArray().Order());
    }
}
