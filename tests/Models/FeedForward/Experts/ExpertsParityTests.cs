using TorchSharp;
using Trainer.Checkpoints;
using Trainer.Models.FeedForward;
using Trainer.Models.FeedForward.Experts;
using Trainer.Tests;
using static TorchSharp.torch;

namespace Trainer.Models.Tests.FeedForward.Experts;

/// <summary>Equality with PyTorch, from the fixture written by Fixtures/make_experts.py.</summary>
public class ExpertsParityTests
{
    private const double Tolerance = 3e-5;

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
    public void Results_losses_counts_and_every_gradient_are_those_of_PyTorch(string name)
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

        TensorAssert.Close(fixture.Read($"{name}.output"), output, Tolerance);
        TensorAssert.Close(fixture.Read($"{name}.loss").squeeze(), loss, Tolerance);
        TensorAssert.Close(fixture.Read($"{name}.gradient.input"), x.grad!, Tolerance);
        foreach (var (key, parameter) in layer.named_parameters())
            TensorAssert.Close(fixture.Read($"{name}.gradient.{key}"), parameter.grad!, Tolerance, $"the gradient of {key}");
        Assert.Equal(fixture.Read($"{name}.counts").data<long>().ToArray(), layer.Load);
    }
}
