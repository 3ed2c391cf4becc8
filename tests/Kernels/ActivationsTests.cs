using TorchSharp;
using Trainer.Tests;
using static TorchSharp.torch;

namespace Trainer.Kernels.Tests;

public sealed class ActivationsTests
{
    public static TheoryData<string> Names => ["gelu", "gelu tanh", "silu", "squared relu", "swiglu", "geglu", "geglu tanh"];

    public static TheoryData<string, long[]> Cases()
    {
        TheoryData<string, long[]> data = [];
        long[][] even = [[1, 2], [3, 2], [7, 128], [2, 5, 96], [64, 34], [6], [2, 300, 192], [2, 300, 384]];
        foreach (string name in Names)
        foreach (long[] shape in name.Contains("glu") ? even : [.. even, [1, 1], [64, 33]]) // a gate takes half of what is given
            data.Add(name, shape);
        return data;
    }

    [Theory]
    [MemberData(nameof(Cases))]
    public void Values_and_gradients_agree_with_float64(string name, long[] shape) =>
        KernelAssert.AgreesWithFloat64([shape], inputs => [Apply(name, inputs[0])], inputs => [Apply(name, inputs[0])], 2e-6);

    [Theory]
    [MemberData(nameof(Cases))]
    public void Threads_do_not_change_a_bit_and_no_tensor_is_left_behind(string name, long[] shape)
    {
        KernelAssert.IsDeterministic([shape], inputs => [Apply(name, inputs[0])]);
        KernelAssert.LeavesNothing([shape], inputs => [Apply(name, inputs[0])]);
        KernelAssert.KeepsNothingWithoutGradients([shape], inputs => [Apply(name, inputs[0])]);
    }

    [Fact]
    public void A_number_is_the_same_wherever_it_stands()
    {
        using DisposeScope scope = NewDisposeScope();
        Tensor x = randn(50);
        TensorAssert.Same(Activations.Gelu(x).narrow(0, 11, 30), Activations.Gelu(x.narrow(0, 11, 30)));
    }

    [Fact]
    public void Inputs_with_gaps_in_other_types_or_empty_give_the_same()
    {
        using DisposeScope scope = NewDisposeScope();
        Tensor x = randn(6, 40), half = x.to(ScalarType.BFloat16);
        TensorAssert.Same(Activations.Gelu(x).transpose(0, 1), Activations.Gelu(x.transpose(0, 1)));
        Assert.Equal(ScalarType.BFloat16, Activations.Gelu(half).dtype);
        TensorAssert.CloseToScale(Activations.SwiGlu(x), Activations.SwiGlu(half), 0.05);
        Assert.Equal([0, 3], Activations.SwiGlu(empty(0, 6)).shape);
        Assert.Contains("[2, 3]", Assert.Throws<TorchException>(() => Activations.SwiGlu(randn(2, 3))).Message);
    }

    [Fact]
    public void Far_from_zero_activations_are_linear_or_nothing()
    {
        using DisposeScope scope = NewDisposeScope();
        Tensor x = tensor([-1e4f, -40f, -0.0f, 0f, 40f, 1e4f], requires_grad: true);
        Tensor y = Activations.Gelu(x);
        y.sum().backward();
        TensorAssert.Equal([0, 0, 0, 0, 40, 1e4], y, 1e-30);
        TensorAssert.Equal([0, 0, 0.5, 0.5, 1, 1], x.grad!, 1e-30);
        TensorAssert.AllClose(tensor([0f, 2e4f]), Activations.SwiGlu(tensor([-1e4f, 1e4f, 2f, 2f])));
    }

    [Theory]
    [MemberData(nameof(Names))]
    public void What_is_not_a_number_stays_none(string name)
    {
        using DisposeScope scope = NewDisposeScope();
        Assert.True(Apply(name, full([2, 10], float.NaN)).isnan().all().item<bool>());
    }

    [Fact]
    public void A_second_derivative_is_refused_not_wrong()
    {
        using DisposeScope scope = NewDisposeScope();
        Tensor x = randn([4], requires_grad: true);
        using (AutogradNode.Guard()) Activations.Gelu(x).sum().backward(create_graph: true);
        Assert.Contains("second derivative", Assert.Throws<TorchException>(AutogradNode.ThrowFailure).Message);
    }

    private static Tensor Apply(string name, Tensor x) => name switch
    {
        "gelu" => Activations.Gelu(x),
        "gelu tanh" => Activations.GeluTanh(x),
        "silu" => Activations.Silu(x),
        "squared relu" => Activations.SquaredRelu(x),
        "swiglu" => Activations.SwiGlu(x),
        "geglu" => Activations.GeGlu(x),
        _ => Activations.GeGluTanh(x),
    };
}
