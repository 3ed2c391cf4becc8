using Trainer.Transformers;
using Trainer.Transformers.Attention.Projections;
using static TorchSharp.torch;

namespace Trainer.Evaluation.Tests;

internal static class TinyModel
{
    public const int Context = 12;

    /// <summary>A model over bytes with large random weights, so that what it says depends on all it has seen.</summary>
    public static LanguageModel Build(double dropout = 0.1)
    {
        manual_seed(5);
        LanguageModel model = new DecoderOptions
        {
            Dim = 16,
            Layers = 2,
            ContextLength = Context,
            Dropout = dropout,
            Attention = new MultiHeadOptions { Heads = 2 },
        }.Build(256);
        using IDisposable quiet = no_grad();
        foreach (var parameter in model.parameters().Where(p => p.dim() >= 2)) parameter.mul_(20);
        return model;
    }
}
