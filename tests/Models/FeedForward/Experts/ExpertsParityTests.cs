using TorchSharp;
using Trainer.Checkpoints;
using Trainer.Models.FeedForward;
using Trainer.Models.FeedForward.Experts;
using static TorchSharp.torch;

namespace Trainer.Models.Tests.FeedForward.Experts;

/// <summary>Equality with PyTorch, from the fixture written by Fixtures/make_experts.py.</summary>
public class ExpertsParityTests
{
    private static readonly Dictionary<string, ExpertsOptions> Cases = new()
    {
        ["mixtral"] = new()
        {
            Experts = 4,
            HiddenDim = 5,
            Balance = new LossBalanceOptions { Coefficient = 0.02 },
            RouterZLoss = 0.003,
        },
        ["deepseek"] = new()
        {
            Experts = 8,
            Active = 3,
            Shared = 2,
            HiddenDim = 5,
            Activation = ActivationKind.GeGlu,
            Router = RouterKind.Sigmoid,
            Scale = 2.5,
            Groups = 4,
            ActiveGroups = 2,
            Balance = new BiasBalanceOptions(),
            RouterZLoss = 0,
        },
        ["switch"] = new()
        {
            Experts = 4,
            Active = 1,
            HiddenDim = 5,
            Bias = true,
            Activation = ActivationKind.Relu,
            Balance = new LossBalanceOptions { Coefficient = 0.05, Over = BalanceScope.Sequence },
            RouterZLoss = 0,
        },
    };

    [Theory]
    [InlineData("mixtral")]
    [InlineData("deepseek")]
    [InlineData("switch")]
    public void Results_losses_counts_and_every_gradient_equal(string name)
    {
        using DisposeScope scope = NewDisposeScope();
        using SafetensorsFile fixture = SafetensorsFile.Open(Path.Combine(AppContext.BaseDirectory, "Fixtures", "experts.safetensors"));
        Tensor x = fixture.Read("input").requires_grad_();
        using var layer = ExpertLayers.Build(Cases[name], (int)x.shape[^1]);
        Assert.Equal(
            fixture.Names.Where(entry => entry.StartsWith($"{name}.weight.")).Select(entry => entry[$"{name}.weight.".Length..]).Order(),
            layer.state_dict().Keys.Order());
        foreach (var (key, value) in layer.state_dict())
            using (no_grad()) value.copy_(fixture.Read($"{name}.weight.{key}"));

        using AttentionContext context = new() { PositionLimit = (int)x.shape[1], Auxiliary = new() };
        Tensor output = layer.Run(x, context);
        Tensor loss = context.Auxiliary.Sum() ?? zeros([]);
        output.mul(fixture.Read("direction")).sum().add(loss).backward();
        layer.EndStep(zeros([]));

        Near(fixture.Read($"{name}.output"), output);
        Near(fixture.Read($"{name}.loss").squeeze(), loss);
        Near(fixture.Read($"{name}.gradient.input"), x.grad!);
        foreach (var (key, parameter) in layer.named_parameters()) Near(fixture.Read($"{name}.gradient.{key}"), parameter.grad!);
        Assert.Equal(fixture.Read($"{name}.counts").data<long>().ToArray(), layer.Load);
    }

    private static void Near(Tensor expected, Tensor actual) => Assert.InRange(Models.LargestDifference(expected, actual), 0, 3e-5);
}
