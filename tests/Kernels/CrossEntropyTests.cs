using TorchSharp;
using Trainer.Tests;
using static TorchSharp.torch;

namespace Trainer.Kernels.Tests;

/// <summary>The loss of a linear layer's logits that are never all there is that of logits that are, and so are its gradients.</summary>
public sealed class CrossEntropyTests
{
    private static readonly Dictionary<string, CrossEntropyShape> Kinds = new()
    {
        ["plain"] = new(),
        ["smoothed"] = new() { LabelSmoothing = 0.1 },
        ["scaled"] = new() { LogitScale = 0.25 },
        ["capped"] = new() { LogitSoftCap = 3 },
        ["everything"] = new() { LogitScale = 1.5, LogitSoftCap = 5, LabelSmoothing = 0.2 },
    };

    public static MatrixTheoryData<string, int[], bool, double> Cases => new(
        Kinds.Keys,
        [[1, 1, 1], [3, 2, 7], [65, 33, 65], [600, 24, 9001]], // N, C, V; the last in several parts, the last of which is smaller
        [false, true],
        [0, 0.7]);

    [Theory]
    [MemberData(nameof(Cases))]
    public void Loss_and_gradients_are_those_of_all_logits_at_once(string kind, int[] size, bool bias, double ignored)
    {
        using DisposeScope scope = NewDisposeScope();
        Problem problem = new(size[0], size[1], size[2], bias, ignored);
        // No kernel takes float64: the composed form.
        Tensor[] expected = problem.Solve(Loss, ScalarType.Float64);
        KernelAssert.InEveryWidth(lanes =>
            TensorAssert.CloseToScale(expected, problem.Solve(Loss), 2e-5, floor: 1e-2, what: $"in {lanes} lanes"));

        Tensor Loss(Tensor[] inputs) =>
            CrossEntropy.Sum(inputs[0], inputs[1], inputs.ElementAtOrDefault(2), problem.Targets, Kinds[kind]);
    }

    [Theory]
    [InlineData(65, true)]
    [InlineData(9001, true)]
    [InlineData(65, false)]
    [InlineData(9001, false)]
    public void Rounded_it_is_the_loss_of_a_rounded_layer(int vocabulary, bool bias)
    {
        using DisposeScope scope = NewDisposeScope();
        Problem problem = new(600, 40, vocabulary, bias, ignored: 0.3);
        Tensor[] expected = problem.Solve(Loss, ScalarType.Float64);
        KernelAssert.InEveryWidth(lanes => // gradients of the logits are rounded
            TensorAssert.CloseToScale(expected, problem.Solve(Loss), 5e-3, floor: 1e-2, what: $"in {lanes} lanes"));

        Tensor Loss(Tensor[] inputs) => CrossEntropy.Sum(
            inputs[0], inputs[1], inputs.ElementAtOrDefault(2), problem.Targets, new(), inputs[1].detach().to(ScalarType.BFloat16));
    }

    [Fact]
    public void Without_targets_there_is_no_loss_and_no_gradient()
    {
        using DisposeScope scope = NewDisposeScope();
        Problem problem = new(6, 4, 9, bias: true, ignored: 1);
        foreach (Tensor nothing in problem.Solve(inputs => CrossEntropy.Sum(inputs[0], inputs[1], inputs[2], problem.Targets, new())))
            TensorAssert.Zero(nothing);
    }

    [Fact]
    public void Each_of_several_threads_gets_the_same_bits()
    {
        using DisposeScope scope = NewDisposeScope();
        Problem problem = new(300, 24, 9001, bias: true, ignored: 0.2);
        float[][] results = new float[3][];
        using WorkerThreads threads = new(results.Length);
        threads.Run(index =>
        {
            using DisposeScope inner = NewDisposeScope();
            Tensor[] solution = problem.Solve(inputs => CrossEntropy.Sum(inputs[0], inputs[1], inputs[2], problem.Targets, new()));
            results[index] = [.. solution.SelectMany(tensor => tensor.data<float>().ToArray())];
        });
        Assert.Equal(results[0], results[1]);
        Assert.Equal(results[0], results[2]);
    }

    [Fact]
    public void What_is_not_a_number_stays_none()
    {
        using DisposeScope scope = NewDisposeScope();
        Assert.True(CrossEntropy.Sum(full([2, 3], float.NaN), ones(5, 3), null, zeros([2], ScalarType.Int64), new()).isnan().ToBoolean());
    }

    [Fact]
    public void What_does_not_fit_is_refused()
    {
        using DisposeScope scope = NewDisposeScope();
        Tensor x = randn([2, 3], requires_grad: true), weight = randn(5, 3);
        Tensor Of(params long[] targets) => tensor(targets);
        Assert.Contains("Target 5 is out of bounds", Refusal(() => CrossEntropy.Sum(x, weight, null, Of(0, 5), new())));
        Assert.Contains("Target -1 is out of bounds", Refusal(() => CrossEntropy.Sum(x, weight, null, Of(0, -1), new())));
        Assert.Contains("targets (N)", Refusal(() => CrossEntropy.Sum(x, weight, null, Of(0, 1, 2), new())));
        Assert.Contains("needs a weight (V, C)", Refusal(() => CrossEntropy.Sum(x, weight, randn(4), Of(0, 1), new())));

        static string Refusal(Action call) => Assert.Throws<TorchException>(call).Message;
    }

    /// <summary>x, weight, perhaps a bias, and targets of which a share is ignored.</summary>
    private sealed class Problem
    {
        public Problem(int rows, int channels, int vocabulary, bool bias, double ignored)
        {
            manual_seed(5);
            Values = bias ? [randn(rows, channels), randn(vocabulary, channels), randn(vocabulary)]
                : [randn(rows, channels), randn(vocabulary, channels)];
            Targets = randint(0, vocabulary, [rows]).masked_fill(rand(rows).lt(ignored), -100);
        }

        public Tensor[] Values { get; }

        public Tensor Targets { get; }

        /// <summary>The loss, and the gradients of a third of it.</summary>
        public Tensor[] Solve(Func<Tensor[], Tensor> loss, ScalarType type = ScalarType.Float32)
        {
            Tensor[] inputs = [.. Values.Select(value => value.to(type, copy: true).requires_grad_())];
            Tensor sum = loss(inputs);
            sum.div(3).backward();
            return [sum.detach(), .. inputs.Select(input => input.grad!)];
        }
    }
}
