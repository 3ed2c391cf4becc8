using Trainer.Checkpoints.Weights;
using Trainer.Configuration;
using Trainer.Models;
using static TorchSharp.torch;

namespace Trainer.Checkpoints;

/// <summary>A model's weights to and from <c>model.safetensors</c>.</summary>
public static class ModelWeights
{
    /// <summary>Saves all parameters and persistent buffers, each once, under the names of the model's own modules.</summary>
    /// <param name="model">The model.</param>
    /// <param name="path">The file to write.</param>
    public static void Save(LanguageModel model, string path) => TensorFile.Save(path, Of(model));

    /// <summary>Replaces a model's weights.</summary>
    /// <param name="model">The model; it keeps its device.</param>
    /// <param name="path">A file with exactly its names and shapes.</param>
    /// <exception cref="UserException">A name is missing or too many, or a shape differs; the message lists them with both shapes.</exception>
    public static void Load(LanguageModel model, string path) => TensorFile.Load(path, [.. Of(model)], "the model");

    /// <summary>Replaces a model's weights by such as are read one at a time, converted maybe.</summary>
    /// <param name="model">The model; it keeps its device.</param>
    /// <param name="source">Exactly its names and shapes.</param>
    /// <exception cref="UserException">As for a file.</exception>
    public static void Load(LanguageModel model, IWeightSource source) => TensorFile.Load(source, [.. Of(model)], "the model");

    /// <summary>What is saved: all parameters and persistent buffers, each once, by name.</summary>
    public static IEnumerable<(string Name, Tensor Value)> Of(LanguageModel model) =>
        model.state_dict().Select(entry => (entry.Key, entry.Value));
}
