using System.ComponentModel;
using System.ComponentModel.DataAnnotations;
using System.Reflection;
using System.Text.Json.Serialization;
using Trainer.Configuration;
using Trainer.Models.Attention;
using Trainer.Models.Attention.Kernels;
using Trainer.Models.Attention.Patterns;
using Trainer.Models.FeedForward;
using Trainer.Models.Mixers;
using Trainer.Models.Patches;
using Trainer.Models.Positions;
using static TorchSharp.torch;

namespace Trainer.Models;

/// <summary>What all architectures share. A new one is one file and one <see cref="JsonDerivedTypeAttribute"/> line here.</summary>
[JsonPolymorphic(TypeDiscriminatorPropertyName = "architecture")]
[JsonDerivedType(typeof(DecoderOptions), "decoder")]
[JsonDerivedType(typeof(EncoderOptions), "encoder")]
[JsonDerivedType(typeof(EncoderDecoderOptions), "encoder-decoder")]
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

    /// <summary>Rows of token embedding and head; null for as many as the tokenizer has. A round number may be faster.</summary>
    [Description("Rows of the token embedding; by default as many as the tokenizer has tokens. It may have more, never fewer.")]
    [Range(1, int.MaxValue)]
    public int? VocabularySize { get; init; }

    /// <summary>Whether the output head shares the token embedding's weight.</summary>
    [Description("Whether the output head shares the token embedding's weight.")]
    public bool TieEmbeddings { get; init; } = true;

    /// <summary>Dropout probability: after embeddings, on attention weights, and on each branch before the residual connection.</summary>
    [Description("Probability of dropping embeddings, attention weights and branch outputs while training.")]
    [Range(0.0, 0.99)]
    public double Dropout { get; init; }

    /// <summary>Whether linear layers and layer norms have biases; RMS norm never does.</summary>
    [Description("Whether linear layers and layer norms have biases.")]
    public bool Bias { get; init; }

    /// <summary>How tokens exchange information: attention, or a recurrence.</summary>
    [Description("What the layers exchange information with: attention as described below, or a recurrence.")]
    public MixerOptions Mixer { get; init; } = new AttentionMixerOptions();

    /// <summary>The attention of layers whose mixer is attention.</summary>
    [Description("How tokens exchange information in layers of attention.")]
    public required AttentionOptions Attention { get; init; }

    /// <summary>How the order of tokens enters the model.</summary>
    [Description("How the order of tokens enters the model.")]
    public PositionOptions Position { get; init; } = new RotaryOptions();

    /// <summary>The feed-forward layer of each block.</summary>
    [Description("The feed-forward layer of each block.")]
    public FeedForwardOptions FeedForward { get; init; } = new SwiGluOptions();

    /// <summary>The norms, and where they are.</summary>
    [Description("The norm of each branch, and where it stands.")]
    public NormOptions Norm { get; init; } = new RmsNormOptions();

    /// <summary>How the matrices that write to the residual stream are initialised.</summary>
    [Description("How matrices that write to the residual stream begin: scaled = drawn, smaller by √(2·layers) (GPT-2); zero = at 0, so " +
        "that every block begins as the identity.")]
    public ResidualInitialization ResidualInit { get; init; } = ResidualInitialization.Scaled;

    /// <summary>Whether attention and feed-forward layer read the same stream and are added to it together (GPT-NeoX).</summary>
    [Description("Whether attention and feed-forward layer read the same stream and are added to it together (GPT-NeoX).")]
    public bool ParallelResidual { get; init; }

    /// <summary>Whether embeddings are multiplied by √dim (Vaswani et al. 2017, Gemma).</summary>
    [Description("Whether embeddings are multiplied by √dim (the 2017 Transformer, Gemma).")]
    public bool ScaleEmbeddings { get; init; }

    /// <summary>Whether a norm follows the embeddings (BERT, BART, Bloom).</summary>
    [Description("Whether a norm follows the embeddings (BERT, BART, Bloom).")]
    public bool EmbeddingNorm { get; init; }

    /// <summary>Whether the output head has a bias for each token (BERT, BART).</summary>
    [Description("Whether the output head has a bias for each token (BERT, BART).")]
    public bool HeadBias { get; init; }

    /// <summary>A factor on the logits; T5 with tied embeddings has 1/√dim.</summary>
    [Description("A factor on the logits (T5 with tied embeddings: 1/√dim).")]
    [Range(0.0, 1e6, MinimumIsExclusive = true)]
    public double LogitScale { get; init; } = 1;

    /// <summary>Bounds logits z to cap·tanh(z / cap) (Gemma 2: 30); null for no bound.</summary>
    [Description("Bounds the logits to ± this, by tanh (Gemma 2: 30).")]
    [Range(0.0, 1e6, MinimumIsExclusive = true)]
    public double? LogitSoftCap { get; init; }

    /// <summary>Groups of layers that differ from the above, repeated from the first layer on; null if all layers are alike.</summary>
    [Description(
        "Groups of layers that differ, from the first layer on, again and again: for example three local ones, then a global one.")]
    [MinLength(1)]
    public IReadOnlyList<LayerGroupOptions>? LayerPattern { get; init; }

    /// <summary>Whether all layers have rotary positions or none.</summary>
    public bool HasOnlyRotaryPositions()
    {
        PositionOptions[] positions =
            [.. Stacks.SelectMany(stack => stack.Layers).Where(layer => layer.Mixer.Attends).Select(layer => layer.Position)];
        return positions.Any(position => position is RotaryOptions)
            && positions.All(position => position is RotaryOptions or NoPositionOptions);
    }

    /// <summary>Whether every layer can mask documents in a row, and padding; linear attention, which sums over rows, cannot.</summary>
    public bool KeepsDocumentsApart() =>
        Stacks.SelectMany(stack => stack.Layers).All(layer => layer.Cross?.Kernel != AttentionKernel.Linear
            && (!layer.Mixer.Attends || layer.Attention.Kernel != AttentionKernel.Linear));

    /// <summary>The type of a layer's pattern by which who sees whom depends on where a row begins; null for none.</summary>
    public string? PatternFromBeginning() => Stacks.SelectMany(stack => stack.Layers).Where(layer => layer.Mixer.Attends)
        .Select(layer => layer.Attention.ResolvedPattern).FirstOrDefault(pattern => pattern.CountsFromBeginning)?.Type;

    /// <summary>Length of the prefix whose tokens see each other and are not predicted; 1 for causal decoders, and for encoders.</summary>
    public virtual int PrefixLength() => 1;

    /// <summary>The patches of numbers that the model reads; null where it reads tokens.</summary>
    public virtual PatchOptions? PatchInput() => null;

    /// <summary>Builds a model in training mode with initialised float32 weights on the CPU; products are float32 or bfloat16.</summary>
    public LanguageModel Build(int vocabularySize, ScalarType computeType = ScalarType.Float32) =>
        (LanguageModel)BuildSequenceModel(vocabularySize, computeType);

    /// <summary>As <see cref="Build(int, ScalarType)"/>, of tokens or of patches; <paramref name="outputs"/> are tokens of the vocabulary,
    /// classes, or values of a forecast.</summary>
    public SequenceModel BuildSequenceModel(int outputs, ScalarType computeType = ScalarType.Float32)
    {
        RequireType(computeType, ScalarType.Float32, ScalarType.BFloat16);
        return Build(outputs, computeType, initialize: true);
    }

    /// <summary>Builds a model in evaluation mode, its weights to be loaded; matrices are float32, bfloat16, or on the CPU int8.</summary>
    /// <exception cref="UserException">In int8, a row of a matrix is not a whole number of blocks.</exception>
    public LanguageModel BuildForInference(int vocabularySize, ScalarType computeType = ScalarType.Float32) =>
        (LanguageModel)BuildSequenceModelForInference(vocabularySize, computeType);

    /// <summary>As <see cref="BuildForInference"/>, of tokens or of patches.</summary>
    /// <exception cref="UserException">In int8, a row of a matrix is not a whole number of blocks.</exception>
    public SequenceModel BuildSequenceModelForInference(int outputs, ScalarType computeType = ScalarType.Float32)
    {
        RequireType(computeType, ScalarType.Float32, ScalarType.BFloat16, ScalarType.Int8);
        SequenceModel model = Build(outputs, computeType, initialize: false);
        try
        {
            foreach (IMasterWeights module in model.modules().OfType<IMasterWeights>()) module.DropMasterWeights();
            model.eval();
            return model;
        }
        catch
        {
            model.Dispose();
            throw;
        }
    }

    private static void RequireType(ScalarType computeType, params ScalarType[] allowed)
    {
        if (!allowed.Contains(computeType))
            throw new ArgumentException($"computeType is {computeType}; {string.Join(", ", allowed)} are allowed.", nameof(computeType));
    }

    private SequenceModel Build(int outputs, ScalarType computeType, bool initialize)
    {
        ArgumentOutOfRangeException.ThrowIfLessThan(outputs, 1);
        Problem[] problems = [.. ModelValidation.All(this)];
        if (problems.Length > 0) throw new ConfigurationException(problems);
        int rows = EmbeddingRows(outputs);
        SequenceModel model = Create(rows, computeType);
        if (!initialize) return model;
        // Keeps the weights of a seed: embeddings once drew numbers of their own first.
        if (PatchInput() is null) randn(rows, Dim).Dispose();
        Initialize.Apply(model);
        return model;
    }

    /// <exception cref="ConfigurationException">The model has fewer rows than there are tokens.</exception>
    internal int EmbeddingRows(int tokens) => (VocabularySize ?? tokens) >= tokens
        ? VocabularySize ?? tokens
        : throw new ConfigurationException(
            [new("vocabularySize", $"vocabularySize ({VocabularySize}) is less than the {tokens} tokens of the tokenizer; " +
            $"leave it out or use {tokens} or more")]);

    /// <summary>Rules between the parts of this model, with paths relative to it; each part checks its own rules itself.</summary>
    public virtual IEnumerable<Problem> Validate() => ModelValidation.BetweenParts(this);

    /// <summary>The stacks of blocks of this architecture, in the order of their weights.</summary>
    internal abstract IReadOnlyList<StackOptions> Stacks { get; }

    internal abstract bool IsCausal { get; }

    internal abstract bool HasEncoder { get; }

    /// <summary>Why a pattern does not fit this architecture; null if it does.</summary>
    internal abstract string? Refuses(PatternOptions pattern);

    internal virtual AttentionOptions? OtherAttention => null;

    internal virtual PartCost ExtraHeadCost => default;

    private protected abstract SequenceModel Create(int outputs, ScalarType computeType);

    private protected IReadOnlyList<LayerOptions> LayersOf(int count, HeadProjectionOptions? cross = null)
    {
        LayerGroupOptions?[] groups = LayerPattern is null
            ? [null]
            : [.. LayerPattern.SelectMany(group => Enumerable.Repeat(group, group.Repeat))];
        return [.. Enumerable.Range(0, count).Select(index => Layer(groups[index % groups.Length], cross))];
    }

    private LayerOptions Layer(LayerGroupOptions? group, HeadProjectionOptions? cross) =>
        new(Resolved(group?.Attention ?? Attention), cross, group?.Position ?? Position, group?.FeedForward ?? FeedForward, Norm)
        {
            Mixer = group?.Mixer ?? Mixer,
        };

    internal AttentionOptions Resolved(AttentionOptions attention) =>
        attention.Pattern is not null ? attention : attention with { Pattern = IsCausal ? new CausalOptions() : new FullOptions() };
}

/// <summary>The first values of matrices that write to the residual stream.</summary>
[JsonConverter(typeof(JsonStringEnumConverter<ResidualInitialization>))]
public enum ResidualInitialization
{
    /// <summary>Drawn, with a deviation smaller by √(2·layers) than other matrices' (Radford et al. 2019, §2.3).</summary>
    [JsonStringEnumMemberName("scaled")]
    Scaled,

    /// <summary>Zero, so that every block begins as the identity (Zhang et al. 2019, Fixup, arXiv 1901.09321; modded-nanogpt).</summary>
    [JsonStringEnumMemberName("zero")]
    Zero,
}

internal static class Registered
{
    public static string Name(Type root, Type variant) => root.GetCustomAttributes<JsonDerivedTypeAttribute>()
        .Where(line => line.DerivedType == variant)
        .Select(line => (string)line.TypeDiscriminator!)
        .FirstOrDefault() ?? throw new InvalidOperationException($"{variant} lacks its registration line on {root}.");
}
