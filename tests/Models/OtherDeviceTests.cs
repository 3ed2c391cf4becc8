using System.Reflection;
using TorchSharp;
using Trainer.Models.FeedForward.Experts;
using Trainer.Models.Positions;
using static TorchSharp.torch;

namespace Trainer.Models.Tests;

/// <summary>What a GPU asks of a model, as far as it can be asked without one: a move to libtorch's device <c>meta</c>, which has shapes
/// and no numbers.</summary>
public class OtherDeviceTests
{
    private const BindingFlags OfInstances =
        BindingFlags.Instance | BindingFlags.NonPublic | BindingFlags.Public | BindingFlags.DeclaredOnly;

    private static readonly ExpertsOptions Experts = new() { Experts = 4, HiddenDim = 12, Balance = new BiasBalanceOptions() };

    private static readonly T5BiasOptions T5 = new() { Buckets = 8, MaxDistance = 6 };

    private static readonly Dictionary<string, ModelOptions> Kinds = AllKinds();

    public static TheoryData<string> Names => [.. Kinds.Keys];

    [Theory]
    [MemberData(nameof(Names))]
    public void A_model_that_is_moved_leaves_nothing_behind(string name)
    {
        using DisposeScope scope = NewDisposeScope();
        using LanguageModel model = Models.Build(Kinds[name]).to(META);
        Assert.All(model.named_parameters(), entry => Assert.Equal(DeviceType.META, entry.parameter.device_type));
        foreach (nn.Module module in model.modules())
        foreach (FieldInfo field in Fields(module.GetType()))
        {
            if (field.GetValue(module) is not Tensor tensor) continue;
            Assert.True(!tensor.IsInvalid && tensor.device_type == DeviceType.META, $"{module.GetType().Name}.{field.Name} stayed");
        }
    }

    private static Dictionary<string, ModelOptions> AllKinds()
    {
        Dictionary<string, ModelOptions> kinds = new()
        {
            ["gpt with dropout"] = Models.Gpt with { Dropout = 0.2 },
            ["hybrid"] = Models.Hybrid,
            ["latent"] = Models.Latent,
            ["parallel"] = Models.Llama with { ParallelResidual = true },
            ["experts"] = Models.Llama with { FeedForward = Experts },
            ["encoder"] = Models.Encoder,
            ["encoder of t5"] = Models.Encoder with { Position = T5 },
            ["encoder-decoder"] = Models.EncoderDecoder,
            ["encoder-decoder of t5 with experts"] = Models.EncoderDecoder with { Position = T5, FeedForward = Experts },
        };
        foreach (NormPlacement placement in Enum.GetValues<NormPlacement>())
            kinds[$"norms {placement}"] = Models.Gpt with { Norm = new RmsNormOptions { Placement = placement } };
        foreach (string projection in Models.Projections.Keys) kinds[projection] = Models.Variant(projection, "rotary");
        foreach (string position in Models.Positions.Keys) kinds[$"positions {position}"] = Models.Variant("grouped-query", position);
        return kinds;
    }

    private static IEnumerable<FieldInfo> Fields(Type? type)
    {
        for (; type is not null && type != typeof(nn.Module); type = type.BaseType)
            foreach (FieldInfo field in type.GetFields(OfInstances)) yield return field;
    }
}
