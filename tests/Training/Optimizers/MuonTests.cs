using System.Runtime.Intrinsics.X86;
using TorchSharp;
using TorchSharp.Modules;
using Trainer.Configuration;
using Trainer.Models;
using Trainer.Models.Devices;
using Trainer.Tests;
using Trainer.Training.Optimizers;
using static TorchSharp.torch;

namespace Trainer.Training.Tests.Optimizers;

public sealed class MuonTests
{
    private static readonly MuonOptions Options = new() { Precision = Precision.Float32, WeightDecay = 0.5 };

    // Jordan et al. 2024: of each singular value the quintic, five times, in doubles.
    [Fact]
    public void Singular_values_go_through_the_polynomial_and_singular_vectors_stay()
    {
        using DisposeScope scope = NewDisposeScope();
        double[] values = [3, 1, 0.25];
        Tensor left = linalg.qr(randn(6, 3)).Q, right = linalg.qr(randn(3, 3)).Q;
        double norm = Math.Sqrt(values.Sum(value => value * value));
        double[] mapped = [.. values.Select(value => Enumerable.Range(0, 5).Aggregate(value / norm, (x, _) =>
            3.4445 * x - 4.7750 * Math.Pow(x, 3) + 2.0315 * Math.Pow(x, 5)))];
        Assert.All(mapped, value => Assert.InRange(value, 0.6, 1.3));

        Tensor made = NewtonSchulz.Orthogonalize(Product(left, values, right), iterations: 5, ScalarType.Float32);

        TensorAssert.Close(Product(left, mapped, right), made, 1e-4);
    }

    [Theory]
    [InlineData(8, 24)]
    [InlineData(24, 8)]
    [InlineData(16, 16)]
    public void Bfloat16_products_are_near_float32_ones(long rows, long columns)
    {
        using DisposeScope scope = NewDisposeScope();
        Tensor matrix = randn(rows, columns, generator: new Generator(5));
        Tensor exact = NewtonSchulz.Orthogonalize(matrix, 5, ScalarType.Float32);

        TensorAssert.CloseInNorm(exact, NewtonSchulz.Orthogonalize(matrix, 5, ScalarType.BFloat16), 0.05);
    }

    // By operators of bfloat16, as in PyTorch, every product, scaled matrix and sum is rounded; ours round once what a line of the author's
    // code computes, as operators of float64 do here. In 120 such matrices, emulated, ours end up to 0.037 from the exact result, the
    // author's up to 0.061, and the two up to 0.056 apart.
    [Theory]
    [InlineData(8, 24, ScalarType.BFloat16, 0.08)]
    [InlineData(24, 8, ScalarType.BFloat16, 0.08)]
    [InlineData(16, 16, ScalarType.BFloat16, 0.08)]
    [InlineData(8, 24, ScalarType.Float64, 0.02)]
    [InlineData(24, 8, ScalarType.Float64, 0.02)]
    [InlineData(16, 16, ScalarType.Float64, 0.02)]
    public void Bfloat16_steps_are_the_authors(long rows, long columns, ScalarType operators, double tolerance)
    {
        using DisposeScope scope = NewDisposeScope();
        Tensor matrix = randn(rows, columns, generator: new Generator(5));

        Tensor ours = NewtonSchulz.Orthogonalize(matrix, 5, ScalarType.BFloat16);

        TensorAssert.CloseInNorm(AuthorsSteps(matrix, operators), ours, tolerance);
    }

    [Fact]
    public void A_matrix_of_zeros_stays_finite()
    {
        using DisposeScope scope = NewDisposeScope();
        TensorAssert.Equal(new double[6], NewtonSchulz.Orthogonalize(zeros(2, 3), 5, ScalarType.Float32).view(-1));
    }

    [Theory]
    [InlineData(MuonScale.Moonlight, 0.2 * 2.8284271247461903)]
    [InlineData(MuonScale.Original, 2)]
    public void The_first_step_is_the_orthogonalised_gradient_by_the_scale(MuonScale scale, double factor)
    {
        using DisposeScope scope = NewDisposeScope();
        Parameter matrix = new(ones(8, 2));
        Tensor gradient = randn(8, 2);
        using Muon optimizer = new(Options with { Scale = scale }, [("w", matrix)], Optimizers.LayoutOf(["w"], new HiddenMatrix("w", [new(8)])));
        matrix.grad = gradient;

        optimizer.Step(0.1, tensor(0f));

        Tensor update = NewtonSchulz.Orthogonalize(gradient, 5, ScalarType.Float32).mul(factor);
        TensorAssert.Close(ones(8, 2).mul(1 - 0.1 * 0.5).sub(update.mul(0.1)), matrix.detach(), 1e-4);
    }

    [Fact]
    public void Products_are_bfloat16_by_default_where_the_processor_has_AVX512()
    {
        using DisposeScope scope = NewDisposeScope();
        Tensor gradient = randn(8, 16);
        Tensor Stepped(Precision? precision)
        {
            Parameter matrix = new(ones(8, 16));
            using Muon optimizer = new(
                Options with { Precision = precision }, [("w", matrix)], Optimizers.LayoutOf(["w"], new HiddenMatrix("w", [new(8)])));
            matrix.grad = gradient;
            optimizer.Step(0.1, tensor(0f));
            return matrix.detach();
        }
        Tensor whole = Stepped(Precision.Float32), rounded = Stepped(Precision.BFloat16);
        Assert.False(whole.allclose(rounded, 0, 0));

        Tensor expected = Avx512BW.IsSupported ? rounded : whole;

        Assert.True(expected.allclose(Stepped(precision: null), 0, 0));
    }

    [Fact]
    public void Moonlights_scale_gives_updates_the_size_of_AdamWs()
    {
        using DisposeScope scope = NewDisposeScope();
        Tensor gradient = randn(64, 192);
        Tensor update = NewtonSchulz.Orthogonalize(gradient, 5, ScalarType.Float32).mul(0.2 * Math.Sqrt(192));
        Assert.InRange(update.square().mean().sqrt().item<float>(), 0.15, 0.25);
    }

    [Theory]
    [InlineData(false, 5)]
    [InlineData(true, 16)]
    public void Fused_projections_are_taken_apart_and_by_heads_if_asked(bool perHead, int matrices)
    {
        using DisposeScope scope = NewDisposeScope();
        (string, Parameter)[] parameters = [("qkv", new(randn(16, 8))), ("gateUp", new(randn(12, 8))), ("head", new(randn(9, 8)))];
        HiddenMatrix[] hidden = [new("qkv", [new(8, 8), new(4, 4), new(4, 2)]), new("gateUp", [new(6), new(6)])];

        using Muon optimizer = new(Options with { PerHead = perHead }, parameters, Optimizers.LayoutOf(["qkv", "gateUp", "head"], hidden));

        Assert.Equal(
            [
                $"muon, weight decay 0.5: 2 tensors, 224 parameters in {matrices} matrices, products in float32",
                "adamw, weight decay 0.5: 1 tensors, 72 parameters",
                "adamw, no weight decay: 0 tensors, 0 parameters",
            ],
            optimizer.Description);
        Assert.Equal(
            ["qkv.momentum_buffer", "gateUp.momentum_buffer", "head.exp_avg", "head.exp_avg_sq", "head.step"],
            optimizer.State.Select(state => state.Name));
    }

    [Fact]
    public void Parts_of_a_fused_matrix_do_not_see_each_other()
    {
        using DisposeScope scope = NewDisposeScope();
        Tensor start = randn(12, 6), gradient = randn(12, 6), other = gradient.clone();
        other.narrow(0, 4, 8).mul_(7).add_(1);

        Tensor one = After(gradient), two = After(other);

        TensorAssert.SameBits(one.narrow(0, 0, 4), two.narrow(0, 0, 4));
        TensorAssert.Apart(one.narrow(0, 4, 8), two.narrow(0, 4, 8), 1e-3);

        Tensor After(Tensor gradient)
        {
            Parameter matrix = new(start.clone());
            using Muon optimizer = new(Options, [("w", matrix)], Optimizers.LayoutOf(["w"], new HiddenMatrix("w", [new(4), new(8)])));
            matrix.grad = gradient;
            optimizer.Step(0.1, tensor(0f));
            return matrix.detach();
        }
    }

    [Fact]
    public void AdamW_has_a_learning_rate_of_its_own_on_the_same_schedule()
    {
        using DisposeScope scope = NewDisposeScope();
        Parameter ours = new(ones(4, 3)), alone = new(ones(4, 3));
        AdamWOptions adamw = new() { LearningRate = 0.004, WeightDecay = 0.2 };
        using Muon optimizer = new(
            Options with { LearningRate = 0.02, Adamw = adamw }, [("embedding", ours)], Optimizers.LayoutOf(["embedding"]));
        using Optimizer reference = adamw.Build([("embedding", alone)]);
        (ours.grad, alone.grad) = (full([4, 3], 0.3f), full([4, 3], 0.3f));

        optimizer.Step(0.01, tensor(0f)); // half the peak
        reference.Step(0.002, tensor(0f));

        TensorAssert.SameBits(alone.detach(), ours.detach());
    }

    [Fact]
    public void Heads_that_no_matrix_has_are_refused_with_the_fix()
    {
        using DisposeScope scope = NewDisposeScope();
        var error = Assert.Throws<UserException>(
            () => new Muon(
                Options with { PerHead = true }, [("w", new Parameter(ones(4, 3)))],
                Optimizers.LayoutOf(["w"], new HiddenMatrix("w", [new(4)]))));
        Assert.Equal("optimizer.perHead is true, but no matrix of this model has several heads; set it to false", error.Message);
    }

    // zeropower_via_newtonschulz5 of github.com/KellerJordan/Muon, muon.py. Each of its lines gives bfloat16, from operators of a type.
    private static Tensor AuthorsSteps(Tensor gradient, ScalarType operators)
    {
        (double a, double b, double c) = (3.4445, -4.7750, 2.0315);
        Tensor Rounded(Tensor values) => values.to(ScalarType.BFloat16).to(operators);
        bool tall = gradient.size(0) > gradient.size(1);
        Tensor x = tall ? gradient.t().to(operators) : gradient.to(operators);
        Tensor norm = x.to(ScalarType.Float32).square().sum().sqrt().to(operators).add(1e-7);
        x = Rounded(x.div(norm));
        for (int i = 0; i < 5; i++)
        {
            Tensor square = Rounded(x.matmul(x.t()));
            Tensor polynomial = Rounded(square.mul(b).add(square.mul(c).matmul(square)));
            x = Rounded(x.mul(a).add(polynomial.matmul(x)));
        }
        return tall ? x.t() : x;
    }

    private static Tensor Product(Tensor left, double[] values, Tensor right) =>
        left.matmul(diag(tensor(values).to(ScalarType.Float32))).matmul(right.t());
}
