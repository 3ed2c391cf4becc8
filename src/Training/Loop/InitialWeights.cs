using TorchSharp;
using Trainer.Configuration;
using Trainer.Text;
using Trainer.Training.Checkpoints;
using Trainer.Transformers;
using static TorchSharp.torch;

namespace Trainer.Training;

/// <summary>The model a run begins with.</summary>
internal static class InitialWeights
{
    /// <summary>Builds the model; its weights are drawn from the seed, or copied from <c>initialize.from</c>.</summary>
    /// <exception cref="UserException">The weights to copy do not fit, or belong to another tokenizer.</exception>
    public static LanguageModel Build(Recipe recipe, Tokenizer tokenizer, Device device, Action<string> tell)
    {
        manual_seed(recipe.Seed);
        LanguageModel model = recipe.Model.Build(tokenizer.VocabularySize, ComputeType(recipe.Training.Precision)).to(device);
        try
        {
            if (recipe.Initialize is { From: var from }) Copy(from, model, tokenizer, tell);
            return model;
        }
        catch
        {
            model.Dispose();
            throw;
        }
    }

    /// <summary>The libtorch type of a precision.</summary>
    public static ScalarType ComputeType(Precision precision) =>
        precision == Precision.BFloat16 ? ScalarType.BFloat16 : ScalarType.Float32;

    private static void Copy(string from, LanguageModel model, Tokenizer tokenizer, Action<string> tell)
    {
        Checkpoint source = Checkpoint.Open(from);
        if (source.Tokenizer.ToJson().ToJsonString() != tokenizer.ToJson().ToJsonString())
            throw new UserException(
                $"initialize.from: {source.Directory} was trained with another tokenizer ({source.Tokenizer.Type}, {source.Tokenizer.VocabularySize} tokens; " +
                $"here {tokenizer.Type}, {tokenizer.VocabularySize} tokens), so its weights mean other tokens; use the same tokenizer and training text");
        ModelWeights.Load(model, Path.Combine(source.Directory, CheckpointFiles.Model));
        tell($"first weights from {source.Directory}");
    }
}
