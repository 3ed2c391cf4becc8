using System.Text.Json.Nodes;
using Trainer.Checkpoints.Weights;
using Trainer.Models;

namespace Trainer.Checkpoints.HuggingFace.Families;

/// <summary>A family of Hugging Face models: its settings and its weights, both ways.</summary>
/// <remarks>A new family is one file and one line in <see cref="FamilyRegistry"/>. <see cref="Write"/> need not refuse anything: a model belongs to a
/// family if reading what was written gives the same model again.</remarks>
internal abstract class Family
{
    /// <summary>Its name, <c>model_type</c>.</summary>
    public abstract string ModelType { get; }

    /// <summary>The class that transformers builds, as in <c>architectures</c>.</summary>
    public abstract string Architecture { get; }

    /// <summary>The model that a configuration describes. What cannot be expressed is reported to <paramref name="config"/>.</summary>
    public abstract ModelOptions Read(HuggingFaceConfig config);

    /// <summary>The settings of a model, as far as this family has them.</summary>
    public abstract JsonObject Write(ModelOptions model);

    /// <summary>The weights of a model of this family.</summary>
    /// <param name="model">From <see cref="Read"/>, or one for which <see cref="FamilyRegistry.Of(ModelOptions)"/> gave this family.</param>
    /// <param name="vocabulary">Number of token ids, V.</param>
    public abstract WeightMap Weights(ModelOptions model, int vocabulary);
}
