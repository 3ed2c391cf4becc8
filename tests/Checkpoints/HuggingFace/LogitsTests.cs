using TorchSharp;
using Trainer.Checkpoints.HuggingFace;
using Trainer.Models;
using Trainer.Tests;
using static TorchSharp.torch;

namespace Trainer.Checkpoints.Tests.HuggingFace;

/// <summary>An imported model computes what its own implementation computes.</summary>
public class LogitsTests
{
    public static TheoryData<string> Fixtures { get; } = [.. Goldens.Importable];

    [Theory]
    [MemberData(nameof(Fixtures))]
    public void Logits_are_those_of_the_original(string name)
    {
        using DisposeScope scope = NewDisposeScope();
        using SafetensorsFile expected = Goldens.Expected(name);
        using HuggingFaceImport source = Goldens.Open(name);
        using LanguageModel model = Goldens.Build(source);
        Tensor actual = model.forward(Input(expected)), logits = expected.Read("logits");
        double largest = logits.abs().max().item<float>();
        TensorAssert.Close(Compared(expected, logits), Compared(expected, actual), 1e-4 * Math.Max(1, largest));
    }

    // Padding belongs to no document.
    private static ModelInput Input(SafetensorsFile expected)
    {
        ModelInput read = new(expected.Read("input_ids"))
        {
            Documents = expected.Contains("attention_mask") ? expected.Read("attention_mask").sub(1) : null,
        };
        return expected.Contains("decoder_input_ids") ? new(expected.Read("decoder_input_ids")) { Source = read } : read;
    }

    // What an encoder makes of padding means nothing.
    private static Tensor Compared(SafetensorsFile expected, Tensor logits) =>
        expected.Contains("attention_mask") && !expected.Contains("decoder_input_ids")
            ? logits.mul(expected.Read("attention_mask").unsqueeze(-1))
            : logits;
}
