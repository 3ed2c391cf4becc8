using TorchSharp;
using static TorchSharp.torch;

namespace Trainer.Kernels.Tests;

public sealed class ActivationsTests
{
    public static TheoryData<string, long[]> Cases()
    {
        TheoryData<string, long[]> data = [];
        foreach (string name in (string[])["gelu", "gelu tanh", "silu", "squared relu", "swiglu", "geglu", "geglu tanh"])
            foreach (long[] shape in (long[][])[[1, 2], [3, 2], [7, 128], [2, 5, 96], [64, 34], [6], [2, 300, 192]])
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
        Assert.True(Activations.Gelu(x).narrow(0, 11, 30).Equals(Activations.Gelu(x.narrow(0, 11, 30))));
    }

    [Fact]
    public void Inputs_with_gaps_in_other_types_or_empty_give_the_same()
    {
        using DisposeScope scope = NewDisposeScope();
        Tensor x = randn(6, 40), half = x.to(ScalarType.BFloat16);
        Assert.True(Activations.Gelu(x.transpose(0, 1)).Equals(Activations.Gelu(x).transpose(0, 1)));
        Assert.Equal(ScalarType.BFloat16, Activations.Gelu(half).dtype);
        KernelAssert.Close(Activations.SwiGlu(x), Activations.SwiGlu(half), 0.05);
        Assert.Equal([0, 3], Activations.SwiGlu(empty(0, 6)).shape);
        Assert.Contains("[2, 3]", Assert.Throws<TorchException>(() => Activations.SwiGlu(randn(2, 3))).Message);
    }

    [Fact]
    public void Far_from_zero_activations_are_linear_or_nothing()
    {
        using DisposeScope scope = NewDisposeScope();
        Tensor x = tensor(new[] { -1e4f, -40f, -0.0f, 0f, 40f, 1e4f }, requires_grad: true);
        Tensor y = Activations.Gelu(x);
        y.sum().backward();
        Assert.True(y.allclose(tensor(new[] { 0f, 0f, 0f, 0f, 40f, 1e4f }), rtol: 0, atol: 1e-30));
        Assert.True(x.grad!.allclose(tensor(new[] { 0f, 0f, 0.5f, 0.5f, 1f, 1f }), rtol: 0, atol: 1e-30));
        Assert.True(Activations.SwiGlu(tensor(new[] { -1e4f, 1e4f, 2f, 2f })).allclose(tensor(new[] { 0f, 2e4f })));
    }

    [Fact]
    public void What_is_not_a_number_stays_none()
    {
        using DisposeScope scope = NewDisposeScope();
        Tensor x = full([2, 10], float.NaN);
        foreach (string name in (string[])["gelu", "gelu tanh", "silu", "squared relu", "swiglu"])
            Assert.True(Apply(name, x).isnan().all().item<bool>());
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
