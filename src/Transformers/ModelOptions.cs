using System.ComponentModel;
using System.ComponentModel.DataAnnotations;
using System.Text.Json.Serialization;
using Trainer.Configuration;
using Trainer.Transformers.Attention;
using Trainer.Transformers.FeedForward;
using Trainer.Transformers.Norms;
using Trainer.Transformers.Positions;
using static TorchSharp.torch;

namespace Trainer.Transformers;

/// <summary>A model as configuration: what every architecture has in common.</summary>
/// <remarks>A new architecture is a derived record in its own file and one <see cref="JsonDerivedTypeAttribute"/> line here.</remarks>
[JsonPolymorphic(TypeDiscriminatorPropertyName = "architecture")]
[JsonDerivedType(typeof(DecoderOptions), "decoder")]
public abstract record ModelOptions : IValidated
{
    /// <summary>Width of the residual stream, C.</summary>
    [Description("Width of the residual stream.")]
    [Range(1, 65536)]
    public required int Dim { get; init; }

    /// <summary>Number of blocks.</summary>
    [Description("Number of blocks.")]
    [Range(1, 1024)]
    public required int Layers { get; init; }

    /// <summary>Number of positions the model is trained on.</summary>
    [Description("Number of positions the model is trained on.")]
    [Range(1, 16_777_216)]
    public required int ContextLength { get; init; }

    /// <summary>Whether the output head uses the token embedding's weight instead of a matrix of its own.</summary>
    [Description("Whether the output head shares the token embedding's weight.")]
    public bool TieEmbeddings { get; init; } = true;

    /// <summary>Probability of dropping an activation while training: after the embeddings, in the attention
    /// weights, and on each branch before it joins the residual stream.</summary>
    [Description("Probability of dropping embeddings, attention weights and branch outputs while training.")]
    [Range(0.0, 0.99)]
    public double Dropout { get; init; }

    /// <summary>Whether linear layers and layer norms add a learned bias. Off by default: small decoders lose nothing by it.
    /// RMS norm never has one.</summary>
    [Description("Whether linear layers and layer norms have biases.")]
    public bool Bias { get; init; }

    /// <summary>How tokens exchange information.</summary>
    [Description("How tokens exchange information.")]
    public required AttentionOptions Attention { get; init; }

    /// <summary>How the order of tokens enters the model.</summary>
    [Description("How the order of tokens enters the model.")]
    public PositionOptions Position { get; init; } = new RotaryOptions();

    /// <summary>The feed-forward layer of each block.</summary>
    [Description("The feed-forward layer of each block.")]
    public FeedForwardOptions FeedForward { get; init; } = new SwiGluOptions();

    /// <summary>The norm of each branch, and where it stands.</summary>
    [Description("The norm of each branch, and where it stands.")]
    public NormOptions Norm { get; init; } = new RmsNormOptions();

    /// <summary>Builds and initialises the model; float32 weights on the CPU.</summary>
    /// <param name="vocabularySize">Number of token ids, V.</param>
    /// <param name="computeType">The type matrix products are computed in: float32 or bfloat16. Weights stay float32.</param>
    /// <returns>A model in training mode; the caller disposes it.</returns>
    /// <exception cref="ConfigurationException">The options contradict each other.</exception>
    public LanguageModel Build(int vocabularySize, ScalarType computeType = ScalarType.Float32)
    {
        ArgumentOutOfRangeException.ThrowIfLessThan(vocabularySize, 1);
        if (computeType is not (ScalarType.Float32 or ScalarType.BFloat16))
            throw new ArgumentException($"computeType is {computeType}; float32 and bfloat16 are allowed.", nameof(computeType));
        Problem[] problems = [.. ModelValidation.All(this)];
        if (problems.Length > 0) throw new ConfigurationException(problems);
        LanguageModel model = Create(vocabularySize, computeType);
        Initialize.Apply(model);
        return model;
    }

    /// <summary>The rules between the parts of this model; each part reports its own rules itself.</summary>
    /// <returns>Problems with paths relative to the model.</returns>
    public virtual IEnumerable<Problem> Validate() => ModelValidation.BetweenParts(this);

    /// <summary>What the model costs, from the options alone: no tensor is made.</summary>
    /// <param name="vocabularySize">Number of token ids, V.</param>
    /// <returns>Exact parameter counts and estimated work and memory.</returns>
    internal abstract ModelCost Cost(int vocabularySize);

    /// <summary>The parts layer <paramref name="index"/> is made of.</summary>
    internal virtual LayerOptions Layer(int index) => new(Attention, Position, FeedForward, Norm);

    /// <summary>The modules of the model, not initialised.</summary>
    private protected abstract LanguageModel Create(int vocabularySize, ScalarType computeType);
}
