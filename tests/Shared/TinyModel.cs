using Trainer.Models;
using Trainer.Models.Attention;
using Trainer.Models.Attention.Patterns;
using static TorchSharp.torch;

namespace Trainer.Tests;

internal static class TinyModel
{
    public const int Context = 12;

    /// <summary>A model over bytes with large random weights, so that what it says depends on all it has seen.</summary>
    /// <param name="dropout">Of activations, in training.</param>
    /// <param name="prefix">How many of the first tokens it reads together; 1 for none.</param>
    public static LanguageModel Build(double dropout = 0.1, int prefix = 1) => Build(new DecoderOptions
    {
        Dim = 16,
        Layers = 2,
        ContextLength = Context,
        Dropout = dropout,
        Attention = new MultiHeadOptions { Heads = 2, Pattern = prefix > 1 ? new PrefixOptions { PrefixLength = prefix } : null },
    });

    /// <summary>Such a model that sees the whole text.</summary>
    public static LanguageModel BuildEncoder(int vocabularySize = 256) => Build(new EncoderOptions
    {
        Dim = 16,
        Layers = 2,
        ContextLength = Context,
        Attention = new MultiHeadOptions { Heads = 2 },
    }, vocabularySize);

    /// <summary>Such a model that reads a text and writes another.</summary>
    public static LanguageModel BuildEncoderDecoder(int vocabularySize = 256) => Build(new EncoderDecoderOptions
    {
        Dim = 16,
        Layers = 2,
        ContextLength = Context,
        Attention = new MultiHeadOptions { Heads = 2 },
    }, vocabularySize);

    private static LanguageModel Build(ModelOptions options, int vocabularySize = 256)
    {
        manual_seed(5);
        LanguageModel model = options.Build(vocabularySize);
        using IDisposable quiet = no_grad();
        foreach (var parameter in model.parameters().Where(p => p.dim() >= 2)) parameter.mul_(20);
        return model;
    }
}
