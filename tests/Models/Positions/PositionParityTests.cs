using TorchSharp;
using TorchSharp.Modules;
using Trainer.Checkpoints;
using Trainer.Models.Positions;
using Trainer.Tests;
using static TorchSharp.torch;

namespace Trainer.Models.Tests.Positions;

/// <summary>Equality of whole models with PyTorch under every way for order to enter attention, from Fixtures/make_positions.py.</summary>
public class PositionParityTests
{
    private static readonly YarnScaling Yarn = new() { Factor = 2, OriginalLength = 4 };

    private static readonly Dictionary<string, DecoderOptions> Variants = new()
    {
        ["interleaved"] = With(new RotaryOptions { Layout = RotaryLayout.Interleaved }),
        ["yarn"] = With(new RotaryOptions { Scaling = Yarn }),
        ["interleaved-yarn"] = With(new RotaryOptions { Layout = RotaryLayout.Interleaved, Scaling = Yarn }),
        ["deepseek"] = With(new RotaryOptions { Scaling = Yarn with { Mscale = 1, MscaleAllDim = 0.5 } }),
        ["alibi"] = With(new AlibiOptions()),
        ["t5"] = With(new T5BiasOptions { Buckets = 8, MaxDistance = 6 }) with { Attention = Models.Llama.Attention with { Scale = 1 } },
        ["scalable"] = Models.Llama with { Attention = Models.Llama.Attention with { ScalableSoftmax = true } },
        ["irope"] = Models.Llama with
        {
            LayerPattern =
            [
                new() { Repeat = 1 },
                new() { Position = new NoPositionOptions(),
                    Attention = Models.Llama.Attention with { Temperature = new() { Floor = 2, Scale = 0.3 } } },
            ],
        },
        ["everything"] = With(new RotaryOptions { Layout = RotaryLayout.Interleaved, Scaling = Yarn }) with
        {
            Attention = Models.Llama.Attention with { ScalableSoftmax = true, Temperature = new() { Floor = 3, Scale = 0.5 } },
        },
    };

    public static TheoryData<string> Names => [.. Variants.Keys];

    [Theory]
    [MemberData(nameof(Names))]
    public void Logits_and_gradients_are_those_of_PyTorch(string name)
    {
        using DisposeScope scope = NewDisposeScope();
        using SafetensorsFile fixture = Open();
        using LanguageModel model = Load(name, fixture);
        Tensor tokens = fixture.Read("tokens");
        TensorAssert.Close(fixture.Read($"{name}.logits"), model.forward(tokens), 2e-5);
        model.LossSum(tokens, fixture.Read("targets")).backward();
        string prefix = $"{name}.norm.";
        var gradients = model.named_parameters().ToDictionary(entry => entry.name, entry => entry.parameter.grad!);
        foreach (string entry in fixture.Names.Where(entry => entry.StartsWith(prefix)))
            Assert.Equal(1, gradients[entry[prefix.Length..]].norm().item<float>() / fixture.Read(entry).item<float>(), 1e-4);
    }

    [Theory]
    [MemberData(nameof(Names))]
    public void Decoded_logits_are_those_of_PyTorch(string name)
    {
        using DisposeScope scope = NewDisposeScope();
        using SafetensorsFile fixture = Open();
        using LanguageModel model = Load(name, fixture);
        model.eval();
        Tensor tokens = fixture.Read("tokens"), expected = fixture.Read($"{name}.logits");
        foreach (int[] steps in (int[][])[[1, 1, 1, 1, 1, 1, 1, 1], [3, 4, 1]])
            TensorAssert.Close(expected, Decoding.Run(model, tokens, steps), 2e-5, $"in steps of {string.Join(", ", steps)} the result");
    }

    private static DecoderOptions With(PositionOptions position) => Models.Llama with { Position = position };

    private static SafetensorsFile Open() =>
        SafetensorsFile.Open(Path.Combine(AppContext.BaseDirectory, "Fixtures", "positions.safetensors"));

    private static LanguageModel Load(string name, SafetensorsFile fixture)
    {
        LanguageModel model = Variants[name].Build(Models.Vocabulary);
        using var gradients = no_grad();
        foreach ((string parameter, Parameter value) in model.named_parameters())
        {
            string own = $"{name}.weight.{parameter}";
            value.copy_(fixture.Read(fixture.Names.Contains(own) ? own : $"weight.{parameter}"));
        }
        return model;
    }
}
