using Trainer.Checkpoints.Gguf;
using Trainer.Checkpoints.HuggingFace;
using Trainer.Checkpoints.Weights;
using Trainer.Data.Tokenizers;
using Trainer.Models;

namespace Trainer.Checkpoints.Tests.Gguf;

/// <summary>A checkpoint of Fixtures/, written as GGUF and read again.</summary>
internal static class ExportedFixture
{
    /// <param name="folder">Where to write.</param>
    /// <param name="fixture">Its name.</param>
    /// <param name="type">How matrices are stored.</param>
    /// <param name="tokenizer">In the place of its own.</param>
    /// <param name="except48">Whether its feed-forward layers are cut to a width that blocks of 32 divide.</param>
    /// <param name="change">Changes its settings.</param>
    public static GgufReader Of(
        TemporaryFolder folder, string fixture, GgufType type = GgufType.F32, Tokenizer? tokenizer = null, bool except48 = false,
        Func<ModelOptions, ModelOptions>? change = null)
    {
        string native = folder.PathOf("ours.safetensors"), path = folder.PathOf("model.gguf");
        using HuggingFaceImport source = Goldens.Open(fixture);
        ModelOptions model = source.Options with { VocabularySize = 40 };
        if (change is not null) model = change(model);
        IEnumerable<PendingTensor> weights = source.Weights;
        if (except48)
        {
            // A width that blocks of 32 divide.
            model = model with { FeedForward = model.FeedForward with { HiddenDim = 32 } };
            weights = weights.Select(
                weight => weight.Name.EndsWith("gateUp.weight") ? Cut(weight, 0, 64) : weight.Name.EndsWith("down.weight")
                ? Cut(weight, 1, 32) : weight);
        }
        Safetensors.Write(native, [.. weights]);
        using WeightFiles files = WeightFiles.OpenFile(native);
        GgufExport.Write(new(fixture, model, tokenizer ?? source.Tokenizer, files, source.Companions), path, type);
        return new(File.ReadAllBytes(path));
    }

    private static PendingTensor Cut(PendingTensor weight, int dimension, long length)
    {
        long[] shape = [.. weight.Shape];
        shape[dimension] = length;
        return weight with { Shape = shape, Read = () => weight.Read().narrow(dimension, 0, length).contiguous() };
    }
}
