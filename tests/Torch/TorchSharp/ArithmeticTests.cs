using TorchSharp;
using static TorchSharp.torch;

namespace Trainer.Torch.Tests.TorchSharp;

public sealed class ArithmeticTests
{
    private static Tensor X => tensor([-2f, -0.5f, 0f, 3f]);

    private static Tensor Column => tensor([1f, 2f], [2, 1]);

    private static readonly Dictionary<string, Expectation> Table = new()
    {
        ["add"] = new(() => X + X, [4], [-4, -1, 0, 6]),
        ["add scalar"] = new(() => X + 1.5, [4], [-0.5, 1, 1.5, 4.5]),
        ["add alpha"] = new(() => X.add(X, alpha: 10), [4], [-22, -5.5, 0, 33]),
        ["add broadcast"] = new(() => X + Column, [2, 4], [-1, 0.5, 1, 4, 0, 1.5, 2, 5]),
        ["sub"] = new(() => X - X, [4], [0, 0, 0, 0]),
        ["sub from scalar"] = new(() => 1 - X, [4], [3, 1.5, 1, -2]),
        ["sub alpha"] = new(() => X.sub(X, alpha: 2), [4], [2, 0.5, 0, -3]),
        ["mul"] = new(() => X * X, [4], [4, 0.25, 0, 9]),
        ["scalar mul"] = new(() => 2 * X, [4], [-4, -1, 0, 6]),
        ["div"] = new(() => X / 2, [4], [-1, -0.25, 0, 1.5]),
        ["scalar div"] = new(() => 6 / tensor([2f, -4f]), [2], [3, -1.5]),
        ["div by zero"] = new(() => X / 0, [4], [double.NegativeInfinity, double.NegativeInfinity, double.NaN, double.PositiveInfinity]),
        ["pow"] = new(() => X.pow(2), [4], [4, 0.25, 0, 9]),
        ["pow tensor"] = new(() => tensor([2f, 3f]).pow(tensor([3f, 2f])), [2], [8, 9]),
        ["remainder"] = new(() => tensor([-5f, 5f]).remainder(3), [2], [1, 2]),
        ["neg"] = new(() => -X, [4], [2, 0.5, 0, -3]),
        ["abs"] = new(() => X.abs(), [4], [2, 0.5, 0, 3]),
        ["exp"] = new(() => exp(tensor([0f, 1f])), [2], [1, Math.E]),
        ["log"] = new(() => log(tensor([1f, 10f])), [2], [0, Math.Log(10)]),
        ["log1p"] = new(() => tensor([0.0, 1e-12]).log1p(), [2], [0, 1e-12]),
        ["sqrt"] = new(() => tensor([4f, 2f]).sqrt(), [2], [2, Math.Sqrt(2)]),
        ["rsqrt"] = new(() => rsqrt(tensor([4f])), [1], [0.5]),
        ["reciprocal"] = new(() => tensor([4f]).reciprocal(), [1], [0.25]),
        ["square"] = new(() => X.square(), [4], [4, 0.25, 0, 9]),
        ["sin"] = new(() => sin(X), [4], [Math.Sin(-2), Math.Sin(-0.5), 0, Math.Sin(3)]),
        ["cos"] = new(() => cos(X), [4], [Math.Cos(-2), Math.Cos(-0.5), 1, Math.Cos(3)]),
        ["softplus"] = new(() => nn.functional.softplus(tensor([-2f, 0f, 50f])), [3], [Math.Log(1 + Math.Exp(-2)), Math.Log(2), 50]),
        ["softplus beta"] = new(() => tensor([1f]).softplus(2), [1], [Math.Log(1 + Math.Exp(2)) / 2]),
        ["tanh"] = new(() => tanh(X), [4], [Math.Tanh(-2), Math.Tanh(-0.5), 0, Math.Tanh(3)]),
        ["sigmoid"] = new(() => sigmoid(X), [4], [0.1192029, 0.3775407, 0.5, 0.9525741]),
        ["relu"] = new(() => nn.functional.relu(X), [4], [0, 0, 0, 3]),
        ["silu"] = new(() => nn.functional.silu(X), [4], [-0.2384058, -0.1887703, 0, 2.8577224]),
        ["gelu"] = new(() => nn.functional.gelu(X), [4], [-0.0455003, -0.1542688, 0, 2.9959502]),
        ["erf"] = new(() => X.erf(), [4], [-0.9953223, -0.5204999, 0, 0.9999779]),
        ["floor"] = new(() => X.floor(), [4], [-2, -1, 0, 3]),
        ["ceil"] = new(() => X.ceil(), [4], [-2, 0, 0, 3]),
        ["round to even"] = new(() => tensor([0.5f, 1.5f, -2.5f]).round(), [3], [0, 2, -2]),
        ["sign"] = new(() => X.sign(), [4], [-1, -1, 0, 1]),
        ["maximum"] = new(() => maximum(X, -X), [4], [2, 0.5, 0, 3]),
        ["minimum"] = new(() => minimum(X, -X), [4], [-2, -0.5, 0, -3]),
        ["clamp"] = new(() => X.clamp(-1, 1), [4], [-1, -0.5, 0, 1]),
        ["clamp below"] = new(() => X.clamp(min: 0), [4], [0, 0, 0, 3]),
        ["clamp above"] = new(() => X.clamp(max: 0), [4], [-2, -0.5, 0, 0]),
        ["eq"] = new(() => X.eq(0), [4], [0, 0, 1, 0]),
        ["ne"] = new(() => ne(X, 0), [4], [1, 1, 0, 1]),
        ["lt"] = new(() => X.lt(0), [4], [1, 1, 0, 0]),
        ["le"] = new(() => X.le(0), [4], [1, 1, 1, 0]),
        ["gt"] = new(() => X.gt(-X), [4], [0, 0, 0, 1]),
        ["ge"] = new(() => X.ge(-X), [4], [0, 0, 1, 1]),
        ["where"] = new(() => where(X.gt(0), X, zeros(4)), [4], [0, 0, 0, 3]),
        ["masked_fill"] = new(() => X.masked_fill(X.lt(0), float.NegativeInfinity), [4], [double.NegativeInfinity, double.NegativeInfinity, 0, 3]),
        ["logical"] = new(() => X.gt(-1).logical_and(X.lt(1)).logical_or(X.eq(3)).logical_not(), [4], [1, 0, 0, 0]),
        ["isfinite"] = new(() => (X / 0).isfinite(), [4], [0, 0, 0, 0]),
        ["isnan"] = new(() => (X / 0).isnan(), [4], [0, 0, 1, 0]),
        ["isinf"] = new(() => (X / 0).isinf(), [4], [1, 1, 0, 1]),
        ["integer"] = new(() => tensor([7L, 8L]) * 3 + 1, [2], [22, 25]),
        ["integer promoted"] = new(() => tensor([7L, 8L]) / 2, [2], [3.5, 4]),
    };

    public static TheoryData<string> Names => [.. Table.Keys];

    [Theory]
    [MemberData(nameof(Names))]
    public void Values_are_those_worked_out_by_hand(string name) => Table[name].Check();

    [Fact]
    public void In_place_operations_write_where_the_tensor_is_and_count()
    {
        using var scope = NewDisposeScope();
        var x = tensor([1f, 2f]);
        var view = x[1];
        var before = x._version;
        Assert.Same(x, x.add_(1).mul_(x).sub_(tensor([1f, 1f]), alpha: 2).div_(2));
        TensorAssert.Equal([1, 3.5], x);
        TensorAssert.Equal([3.5], view);
        Assert.Equal(before + 4, x._version);
        x.fill_(7).masked_fill_(tensor([true, false]), 0);
        TensorAssert.Equal([0, 7], x);
        x.copy_(tensor([8L, 9L])).add_(x, alpha: 2).sub_(1);
        TensorAssert.Equal([23, 26], x);
        x.index_copy_(0, tensor([1L]), tensor([5f]));
        TensorAssert.Equal([23, 5], x);
        Assert.Equal(0, x.zero_().sum().ToSingle());
    }

    [Fact]
    public void Scalars_keep_their_kind()
    {
        using var scope = NewDisposeScope();
        Assert.Equal(ScalarType.Int64, (tensor([1L]) + 1).dtype);
        Assert.Equal(ScalarType.Float32, (tensor([1L]) + 1.0).dtype);
        Assert.Equal(ScalarType.Bool, full([1], true, ScalarType.Bool).dtype);
        Assert.Equal(9007199254740993, full([1], 9007199254740993, ScalarType.Int64).ToInt64());
        Scalar truth = true;
        Assert.Equal("True", truth.ToString());
    }
}
