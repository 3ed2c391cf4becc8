using TorchSharp;
using Trainer.Kernels;
using Trainer.Models.FeedForward;
using Trainer.Models.FeedForward.Experts;
using Trainer.Tests;
using static TorchSharp.torch;

namespace Trainer.Models.Tests.FeedForward.Experts;

public class ExpertsFeedForwardTests
{
    private static readonly ExpertsOptions Plain =
        new() { Experts = 4, Active = 2, HiddenDim = 5, Balance = new NoBalanceOptions(), RouterZLoss = 0 };

    private const double Tolerance = 2e-5;

    /// <summary>Every kind of layer, with rows and tokens of each.</summary>
    public static TheoryData<string, int, int> Variants => new(
        from variant in Options.Keys
        from shape in ((int, int)[])[(1, 1), (3, 5), (2, 40)]
        select (variant, shape.Item1, shape.Item2));

    private static readonly Dictionary<string, ExpertsOptions> Options = new()
    {
        ["two of four"] = Plain,
        ["all"] = Plain with { Active = 4 },
        ["one"] = Plain with { Active = 1 },
        ["sigmoid, unnormalised, scaled"] = Plain with { Router = RouterKind.Sigmoid, NormalizeWeights = false, Scale = 0.7 },
        ["groups"] = Plain with { Experts = 6, Groups = 3, ActiveGroups = 2, Active = 3 },
        ["bias, plain activation, shared"] = Plain with { Bias = true, Activation = ActivationKind.SquaredRelu, Shared = 1 },
    };

    [Theory]
    [MemberData(nameof(Variants))]
    public void Sharing_out_tokens_equals_every_expert_on_every_token(string variant, int rows, int tokens)
    {
        using DisposeScope scope = NewDisposeScope();
        ExpertsOptions options = Options[variant];
        using var layer = ExpertLayers.Build(options);
        Tensor values = randn(rows, tokens, ExpertLayers.Dim);
        var (result, gradients) = Differentiate(layer, values, x => layer.Run(x, ExpertLayers.Pass()));
        var (expected, expectedGradients) = Differentiate(layer, values, x => Dense(layer, options, x));
        TensorAssert.Close(expected, result, Tolerance);
        TensorAssert.Close(expectedGradients, gradients, Tolerance);
    }

    [Fact]
    public void An_expert_that_nobody_chooses_has_zero_gradient_not_none()
    {
        using DisposeScope scope = NewDisposeScope();
        using var layer = ExpertLayers.Build(Plain);
        Tensor router = Parameter(layer, "router.weight");
        using (no_grad())
        {
            router.zero_();
            router.select(0, 1).fill_(1);
            router.select(0, 3).fill_(2);
        }
        AttentionContext context = ExpertLayers.Pass();
        layer.Run(rand(2, 4, ExpertLayers.Dim).add(0.1), context).sum().backward();
        layer.EndStep(zeros([]));
        Assert.Equal([0, 8, 0, 8], layer.Load);
        Tensor gradient = Parameter(layer, "experts.down").grad!;
        Assert.Equal([false, true, false, true], gradient.abs().sum([1, 2]).gt(0).data<bool>().ToArray());
    }

    [Fact]
    public void The_balance_loss_is_its_coefficient_where_all_are_given_as_much_and_more_where_not()
    {
        using DisposeScope scope = NewDisposeScope();
        using var layer = ExpertLayers.Build(
            Plain with { Experts = 2, Active = 1, Balance = new LossBalanceOptions { Coefficient = 1 } }, dim: 2);
        Set(layer, tensor([1f, -1f, -1f, 1f], [2, 2]));
        float Loss(params float[] tokens)
        {
            AttentionContext context = ExpertLayers.Pass();
            layer.Run(stack([.. tokens.Select(t => tensor([t, -t]))]).unsqueeze(0), context);
            return context.Auxiliary!.Sum()!.item<float>();
        }
        Assert.Equal(1, Loss(1, -1), 1e-6);
        Assert.Equal(2 / (1 + Math.Exp(-4)), Loss(1, 1), 1e-5); // f = (1, 0), P = (σ(4), 1 − σ(4))
    }

    [Fact]
    public void A_sequence_s_balance_is_the_same_however_rows_are_shared_out()
    {
        using DisposeScope scope = NewDisposeScope();
        using var layer = ExpertLayers.Build(
            Plain with { Balance = new LossBalanceOptions { Over = BalanceScope.Sequence }, RouterZLoss = 0.1 });
        Tensor x = randn(4, 9, ExpertLayers.Dim);
        float Loss(Tensor rows)
        {
            AttentionContext context = ExpertLayers.Pass();
            layer.Run(rows, context);
            return context.Auxiliary!.Sum()!.item<float>();
        }
        Assert.Equal(Loss(x), (Loss(x.narrow(0, 0, 1)) + 3 * Loss(x.narrow(0, 1, 3))) / 4, 1e-6);
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public void Padding_is_computed_but_neither_balanced_nor_counted(bool byLength)
    {
        using DisposeScope scope = NewDisposeScope();
        ExpertsOptions options = Plain with { Balance = new LossBalanceOptions(), RouterZLoss = 0.1 };
        using var layer = ExpertLayers.Build(options);
        Tensor x = randn(1, 6, ExpertLayers.Dim);
        Tensor documents = tensor([0L, 0, 0, 0, -1, -1], [1, 6]);
        using DocumentIds ids = new(documents, documents);
        using AttentionContext padded = new()
        {
            PositionLimit = 6, Auxiliary = new(), Documents = byLength ? null : ids, Lengths = byLength ? [4] : null,
        };
        AttentionContext whole = ExpertLayers.Pass();
        Tensor result = layer.Run(x, padded);
        layer.EndStep(zeros([]));
        long[] load = [.. layer.Load];
        TensorAssert.Close(layer.Run(x.narrow(1, 0, 4), whole), result.narrow(1, 0, 4), Tolerance);
        layer.EndStep(zeros([]));
        Assert.Equal(load, layer.Load);
        TensorAssert.Close(whole.Auxiliary!.Sum()!, padded.Auxiliary!.Sum()!, Tolerance);
    }

    [Theory]
    [InlineData(BalanceScope.Batch)]
    [InlineData(BalanceScope.Sequence)]
    public void Lengths_are_those_of_documents_that_mark_padding(BalanceScope over)
    {
        using DisposeScope scope = NewDisposeScope();
        using var layer = ExpertLayers.Build(Plain with { Balance = new LossBalanceOptions { Over = over }, RouterZLoss = 0.1 });
        Tensor x = randn(3, 4, ExpertLayers.Dim), documents = tensor([0L, 0, 0, -1, 0, 0, 0, 0, 0, -1, -1, -1], [3, 4]);
        (Tensor Loss, long[] Load) Run(AttentionContext context)
        {
            using (context)
            {
                layer.Run(x, context);
                layer.EndStep(zeros([]));
                return (context.Auxiliary!.Sum()!, [.. layer.Load]);
            }
        }
        using DocumentIds ids = new(documents, documents);
        (Tensor loss, long[] load) = Run(new() { PositionLimit = 4, Auxiliary = new(), Lengths = [3, 4, 1] });
        (Tensor expected, long[] counted) = Run(new() { PositionLimit = 4, Auxiliary = new(), Documents = ids });
        TensorAssert.SameBits(expected, loss);
        Assert.Equal(counted, load);
        Assert.Equal(8 * Plain.Active, load.Sum());
    }

    [Fact]
    public void The_bias_chooses_but_does_not_weigh_and_follows_the_load_of_good_steps_only()
    {
        using DisposeScope scope = NewDisposeScope();
        using var layer = ExpertLayers.Build(Plain with { Active = 1, Balance = new BiasBalanceOptions { Rate = 0.25 } });
        Set(layer, zeros(4, ExpertLayers.Dim)); // all affinities are ¼
        Tensor bias = layer.state_dict()["router.balance"], x = randn(1, 5, ExpertLayers.Dim);
        using (no_grad()) bias.copy_(tensor([0f, 0f, 0.5f, 0f]));
        Tensor result = layer.Run(x, ExpertLayers.Pass());
        TensorAssert.Close(Expert(layer, Plain, 2, x.view(5, -1)).mul(0.25), result.view(5, -1), Tolerance);

        layer.EndStep(ones([])); // a step that went wrong
        Assert.Equal([0f, 0f, 0.5f, 0f], bias.data<float>().ToArray());
        layer.Run(x, ExpertLayers.Pass());
        layer.Run(x, ExpertLayers.Pass(training: false));
        layer.EndStep(zeros([]));
        Assert.Equal([0, 0, 5, 0], layer.Load);
        Assert.Equal([0.25f, 0.25f, 0.25f, 0.25f], bias.data<float>().ToArray());
    }

    [Fact]
    public void Threads_that_share_a_layer_count_every_token_once()
    {
        using var layer = ExpertLayers.Build(Plain);
        using WorkerThreads workers = new(4);
        workers.Run(_ =>
        {
            using DisposeScope scope = NewDisposeScope();
            for (int i = 0; i < 20; i++) layer.Run(ones(1, 3, ExpertLayers.Dim), ExpertLayers.Pass());
        });
        using Tensor none = zeros([]);
        layer.EndStep(none);
        Assert.Equal(4 * 20 * 3 * Plain.Active, layer.Load.Sum());
        layer.EndStep(none);
        Assert.Equal(0, layer.Load.Sum());
    }

    [Fact]
    public void In_bfloat16_routing_stays_float32()
    {
        using DisposeScope scope = NewDisposeScope();
        using var exact = ExpertLayers.Build(Plain);
        using var rounded = ExpertLayers.Build(Plain, type: ScalarType.BFloat16);
        Tensor x = randn(2, 30, ExpertLayers.Dim);
        Tensor a = exact.Run(x, ExpertLayers.Pass()), b = rounded.Run(x, ExpertLayers.Pass());
        exact.EndStep(zeros([]));
        rounded.EndStep(zeros([]));
        Assert.Equal(exact.Load, rounded.Load);
        TensorAssert.Close(a, b, 0.2);
        TensorAssert.Apart(a, b, 1e-6);
    }

    private static (Tensor Result, Tensor[] Gradients) Differentiate(ExpertsFeedForward layer, Tensor values, Func<Tensor, Tensor> run)
    {
        layer.zero_grad();
        Tensor x = values.clone().requires_grad_(), result = run(x);
        result.mul(linspace(-1, 1, result.numel()).view(result.shape)).sum().backward();
        return (result, [x.grad!, .. layer.parameters().Select(parameter => parameter.grad!)]);
    }

    /// <summary>Every expert on every token; those not chosen weigh 0.</summary>
    private static Tensor Dense(ExpertsFeedForward layer, ExpertsOptions options, Tensor x)
    {
        Tensor tokens = x.view(-1, x.shape[^1]), logits = tokens.matmul(Parameter(layer, "router.weight").mT);
        Tensor affinities = options.Router == RouterKind.Sigmoid ? logits.sigmoid() : logits.softmax(-1);
        Tensor chosen = zeros_like(logits);
        for (int token = 0; token < tokens.shape[0]; token++)
            foreach (int expert in Best([.. affinities.detach().select(0, token).data<float>().ToArray()], options))
                chosen.select(0, token).select(0, expert).fill_(1);
        Tensor weights = affinities.mul(chosen);
        if (options.NormalizeWeights ?? options.Active > 1) weights = weights.div(weights.sum(-1, keepdim: true));
        Tensor result = zeros_like(tokens);
        for (int expert = 0; expert < options.Experts; expert++)
            result = result.add(Expert(layer, options, expert, tokens).mul(weights.narrow(1, expert, 1)).mul(options.Scale));
        if (options.Shared > 0)
            result = result.add(layer.named_children().Single(child => child.name == "shared").module is FeedForwardModule shared
                ? shared.Run(tokens, ExpertLayers.Pass()) : tokens);
        return result.view(x.shape);
    }

    private static IEnumerable<int> Best(float[] affinities, ExpertsOptions options)
    {
        int size = options.Experts / options.Groups;
        HashSet<int> open = [.. Enumerable.Range(0, options.Groups).OrderByDescending(
            group => affinities[(group * size)..((group + 1) * size)].Max()).Take(options.ActiveGroups)];
        return Enumerable.Range(0, options.Experts).Where(expert => open.Contains(expert / size))
            .OrderByDescending(expert => affinities[expert]).Take(options.Active);
    }

    private static Tensor Expert(ExpertsFeedForward layer, ExpertsOptions options, int expert, Tensor tokens)
    {
        Activation activation = Activation.Of(options.Activation);
        string first = activation.Gated ? "experts.gateUp" : "experts.up";
        Tensor Linear(Tensor x, string name)
        {
            Tensor product = x.matmul(Parameter(layer, name).select(0, expert).mT);
            return options.Bias == true
                ? product.add(Parameter(layer, $"{name}Bias").view(options.Experts, -1).select(0, expert))
                : product;
        }
        return Linear(activation.Apply(Linear(tokens, first)), "experts.down");
    }

    private static Tensor Parameter(nn.Module layer, string name) => layer.named_parameters().Single(entry => entry.name == name).parameter;

    private static void Set(ExpertsFeedForward layer, Tensor router)
    {
        using var gradients = no_grad();
        Parameter(layer, "router.weight").copy_(router);
    }
}
