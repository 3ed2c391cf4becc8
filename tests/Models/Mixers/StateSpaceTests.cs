using TorchSharp;
using Trainer.Kernels;
using Trainer.Models.Mixers;
using Trainer.Tests;
using static TorchSharp.torch;

namespace Trainer.Models.Tests.Mixers;

public class StateSpaceTests
{
    private const int Batch = 2, Heads = 4, HeadDim = 3, Groups = 2, StateDim = 5;

    /// <summary>Positions, positions of a chunk, whether states go before, and whether there are documents.</summary>
    public static TheoryData<int, int, bool, bool> Lengths() => new(
        from lengths in ((int, int)[])[(1, 4), (3, 4), (4, 4), (5, 4), (12, 4), (11, 4), (6, 1), (7, 64)]
        from continued in (bool[])[false, true]
        from documents in (bool[])[false, true]
        select (lengths.Item1, lengths.Item2, continued, documents));

    [Theory]
    [MemberData(nameof(Lengths))]
    public void The_chunked_form_equals_the_recurrence_forward_and_in_gradients(int length, int chunk, bool continued, bool documents)
    {
        using DisposeScope scope = NewDisposeScope();
        manual_seed(3);
        Tensor x = Leaf(Batch, length, Heads, HeadDim), decay = randn(Batch, length, Heads).abs().neg().requires_grad_();
        Tensor into = Leaf(Batch, length, Groups, StateDim), from = Leaf(Batch, length, Groups, StateDim),
            states = Leaf(Batch, Heads, HeadDim, StateDim);
        StateSpaceInput inputs = new(x, decay, into, from) { Runs = documents ? Runs(length) : null };
        Tensor[] leaves = continued ? [x, decay, into, from, states] : [x, decay, into, from];
        Tensor weight = randn(Batch, length, Heads, HeadDim), after = randn(Batch, Heads, HeadDim, StateDim);

        var expected = StateSpace.Recurrent(inputs, continued ? states : null);
        var actual = StateSpace.Chunked(inputs, continued ? states : null, chunk);
        TensorAssert.Close(expected.Result, actual.Result, 1e-5);
        TensorAssert.Close(expected.States, actual.States, 1e-5);
        // Nothing decays before the first position.
        TensorAssert.Close(Gradients(expected).Select((gradient, i) => gradient ?? zeros_like(leaves[i])), Gradients(actual), 5e-5);

        IReadOnlyList<Tensor?> Gradients((Tensor Result, Tensor States) of) =>
            [.. Differentiation.Grad([of.Result.mul(weight).sum().add(of.States.mul(after).sum())], leaves)];
    }

    [Fact]
    public void The_recurrence_is_the_formula()
    {
        using DisposeScope scope = NewDisposeScope();
        // One head of one number, a state of one number: h₁ = 2·3 = 6, y₁ = 6·5 = 30; h₂ = ½·6 + 1·1 = 4, y₂ = 4·10 = 40.
        StateSpaceInput inputs = new(
            tensor([2f, 1f]).view(1, 2, 1, 1), tensor([0.5f, 0.5f]).log().view(1, 2, 1),
            tensor([3f, 1f]).view(1, 2, 1, 1), tensor([5f, 10f]).view(1, 2, 1, 1));
        (Tensor result, Tensor states) = StateSpace.Recurrent(inputs);
        TensorAssert.Equal([30, 40], result, 0);
        TensorAssert.Equal([4], states, 0);
    }

    [Fact]
    public void Long_decays_neither_overflow_nor_become_nan()
    {
        using DisposeScope scope = NewDisposeScope();
        manual_seed(4);
        Tensor x = Leaf(1, 64, 1, 2), into = Leaf(1, 64, 1, 2), from = Leaf(1, 64, 1, 2),
            decay = full([1, 64, 1], -50f, requires_grad: true);
        StateSpaceInput inputs = new(x, decay, into, from);
        Tensor result = StateSpace.Chunked(inputs, null, 64).Result;
        TensorAssert.Close(StateSpace.Recurrent(inputs).Result, result, 1e-5);
        foreach (Tensor? gradient in Differentiation.Grad([result.sum()], [x, decay, into, from]))
            Assert.True(gradient!.isfinite().all().item<bool>());
    }

    // Documents of two and of three positions, and one that does not end; rows differ.
    private static Tensor Runs(int length)
    {
        long[] first = [.. Enumerable.Range(0, length).Select(t => t < 2 ? 0L : t < 5 ? 1 : 2)],
            second = [.. Enumerable.Range(0, length).Select(t => t < 1 ? 0L : 1)];
        return stack([tensor(first), tensor(second)], 0);
    }

    private static Tensor Leaf(params long[] shape) => randn(shape, requires_grad: true);
}
