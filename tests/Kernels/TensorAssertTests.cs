using Trainer.Tests;
using Xunit.Sdk;
using static TorchSharp.torch;

namespace Trainer.Kernels.Tests;

/// <summary>What the comparisons that other tests make accept, refuse, and say of what they refuse.</summary>
public sealed class TensorAssertTests
{
    [Fact]
    public void A_failure_says_where_by_how_much_how_much_is_allowed_and_how_many_differ()
    {
        using var scope = NewDisposeScope();
        Tensor expected = zeros(2, 3, 4), actual = expected.clone();
        actual[0, 1, 2] = 0.5f;
        actual[1, 2, 0] = -0.75f;
        actual[1, 2, 1] = 0.125f;
        Assert.Equal("actual is -0.75 at [1, 2, 0], not 0: 0.75 apart, where 0.25 is allowed; 2 of 24 elements differ",
            Failure(() => TensorAssert.Close(expected, actual, 0.25)));
        Assert.StartsWith("gradients[1] is -0.75 at [1, 2, 0], not 0: ",
            Failure(() => TensorAssert.Close([expected, expected], [expected, actual], 0.25, "gradients")));
        Assert.Equal("actual is 2.5 at [1], not 2: 0.5 apart, where 0.25 is allowed; 1 of 2 elements differ",
            Failure(() => TensorAssert.Equal([1, 2], [1, 2.5], 0.25, "actual")));
        Assert.Equal("the shape is said too has the shape [4, 6], not [2, 3, 4]",
            Failure(() => TensorAssert.Close(expected, actual.view(4, 6), 1, "the shape is said too")));
    }

    [Fact]
    public void Tolerances_are_absolute_of_the_scale_of_each_element_or_of_the_length()
    {
        using var scope = NewDisposeScope();
        Tensor expected = tensor([8f, 0f, 6f]), actual = tensor([8f, 0.5f, 6f]);
        TensorAssert.Close(expected, actual, 0.5);
        Assert.Contains("where 0.49 is allowed", Failure(() => TensorAssert.Close(expected, actual, 0.49)));
        TensorAssert.CloseToScale(expected, actual, 0.0625);
        Assert.Contains("where 0.48 is allowed", Failure(() => TensorAssert.CloseToScale(expected, actual, 0.06)));
        TensorAssert.CloseToScale(zeros(3), full([3], 0.1), 0.1000001);
        Assert.Throws<FailException>(() => TensorAssert.CloseToScale(zeros(3), full([3], 0.1), 0.1, floor: 0));
        TensorAssert.AllClose(expected, tensor([8.5f, 0.1f, 6f]), relative: 0.1, absolute: 0.1000001);
        Assert.Contains("at [1], not 0: 0.5 apart, where 0.1 and 0.1 of the value are allowed",
            Failure(() => TensorAssert.AllClose(expected, actual, relative: 0.1, absolute: 0.1)));
        TensorAssert.CloseInNorm(expected, actual, 0.05);
        Assert.Contains("0.5 apart, the length of the difference is 0.5, where 0.4 is allowed; 1 of 3 elements differ",
            Failure(() => TensorAssert.CloseInNorm(expected, actual, 0.04)));
    }

    [Fact]
    public void What_should_be_apart_is_so_in_some_element()
    {
        using var scope = NewDisposeScope();
        Tensor one = zeros(3), other = tensor([0f, 0.5f, 0f]);
        TensorAssert.Apart(one, other, 0.4);
        Assert.Contains(
            "other is within 0.5, and more than 0.5 was expected", Failure<TrueException>(() => TensorAssert.Apart(one, other, 0.5)));
    }

    [Fact]
    public void What_is_no_number_differs_unless_it_is_expected()
    {
        using var scope = NewDisposeScope();
        Tensor numbers = tensor([1f, float.NaN, float.PositiveInfinity]);
        Assert.Contains("NaN at [1]", Failure(() => TensorAssert.Close(numbers, numbers, 1)));
        Assert.Contains("NaN apart", Failure(() => TensorAssert.Close(numbers, numbers, 1)));
        Assert.Throws<FailException>(() => TensorAssert.AllClose(numbers, numbers));
        Assert.Throws<FailException>(() => TensorAssert.CloseInNorm(numbers, numbers, 1));
        Assert.Throws<FailException>(() => TensorAssert.Same(numbers, numbers));
        TensorAssert.AllClose(numbers[2], numbers[2]);
        TensorAssert.SameBits(numbers, numbers);
        TensorAssert.Equal([1, double.NaN, double.PositiveInfinity], numbers);
        Assert.Throws<FailException>(() => TensorAssert.Equal([1, double.NaN, 1e30], numbers, 1e300));
    }

    [Fact]
    public void The_same_numbers_need_not_be_the_same_bits()
    {
        using var scope = NewDisposeScope();
        Tensor zero = tensor([0f, 1f]), negative = tensor([-0f, 1f]);
        TensorAssert.Same(zero, negative);
        Assert.Equal("negative is -0 at [0], not 0: 0 apart, where 0 is allowed; 1 of 2 elements differ",
            Failure(() => TensorAssert.SameBits(zero, negative)));
        Assert.ThrowsAny<XunitException>(() => TensorAssert.Same(zero, zero.to(ScalarType.Float64)));
        TensorAssert.SameBits(zero.expand(3, 2), zero.repeat(3, 1));
    }

    [Fact]
    public void Comparing_leaves_no_tensor_behind()
    {
        using Tensor a = ones(3, 4), b = ones([3, 4], requires_grad: true);
        Finalizers.Run();
        long before = LiveTensors.Count();
        TensorAssert.Close(a, b, 0);
        TensorAssert.CloseToScale(a, b, 0);
        TensorAssert.AllClose(a, b);
        TensorAssert.CloseInNorm(a, b, 0);
        TensorAssert.Same(a, b);
        TensorAssert.SameBits(a, b);
        TensorAssert.Equal([.. Enumerable.Repeat(1.0, 12)], b);
        Failure(() => TensorAssert.Zero(a));
        Assert.Equal(before, LiveTensors.Count());
    }

    private static string Failure(Action comparison) => Failure<FailException>(comparison);

    private static string Failure<T>(Action comparison) where T : XunitException => Assert.Throws<T>(comparison).Message;
}
