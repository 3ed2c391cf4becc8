using System.ComponentModel;
using System.ComponentModel.DataAnnotations;
using System.Text.Json.Serialization;
using Trainer.Configuration;
using Trainer.Models.Attention;
using Trainer.Models.Attention.Kernels;
using Trainer.Models.Attention.Patterns;
using Trainer.Models.FeedForward;
using Trainer.Models.Mixers;
using Trainer.Models.Norms;
using Trainer.Models.Positions;
using Trainer.Models.Precision;
using static TorchSharp.torch;

namespace Trainer.Models;

/// <summary>A model as configuration: what every architecture has in common.</summary>
/// <remarks>A new architecture is a derived record in its own file and one <see cref="JsonDerivedTypeAttribute"/> line here.</remarks>
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

    /// <summary>Rows of the token embedding and the head; null for as many as the tokenizer has tokens. More make a round number of them,
    /// which some devices multiply faster; many published models have such rows.</summary>
    [Description("Rows of the token embedding; by default as many as the tokenizer has tokens. It may have more, never fewer.")]
    [Range(1, int.MaxValue)]
    public int? VocabularySize { get; init; }

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

    /// <summary>What the layers exchange information with: attention, or a recurrence.</summary>
    [Description("What the layers exchange information with: attention as described below, or a recurrence.")]
    public MixerOptions Mixer { get; init; } = new AttentionMixerOptions();

    /// <summary>How tokens exchange information in layers of attention.</summary>
    [Description("How tokens exchange information in layers of attention.")]
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

    /// <summary>Groups of layers that differ from what is said above, from the first layer on, again and again; null where all are alike.</summary>
    [Description("Groups of layers that differ, from the first layer on, again and again: for example three local ones, then a global one.")]
    [MinLength(1)]
    public IReadOnlyList<LayerGroupOptions>? LayerPattern { get; init; }

    /// <summary>Whether order enters by rotary positions alone: some layers have them, and the others have none.</summary>
    public bool HasOnlyRotaryPositions()
    {
        PositionOptions[] positions = [.. Stacks.SelectMany(stack => stack.Layers).Select(layer => layer.Position)];
        return positions.Any(position => position is RotaryOptions) && positions.All(position => position is RotaryOptions or NoPositionOptions);
    }

    /// <summary>Whether every layer can keep documents that share a row apart, and padding out of sight: linear attention sums over whole rows.</summary>
    public bool KeepsDocumentsApart() =>
        Stacks.SelectMany(stack => stack.Layers).All(layer => layer.Cross?.Kernel != AttentionKernel.Linear
            && (!layer.Mixer.Attends || layer.Attention.Kernel != AttentionKernel.Linear));

    /// <summary>How many of the first tokens of a row the model reads together, each seeing all of them. They are given to it: only the tokens behind
    /// them are predicted.</summary>
    /// <returns>1 for a decoder whose tokens only see what is before them, and for models that see all of what they read.</returns>
    public virtual int PrefixLength() => 1;

    /// <summary>Builds and initialises the model; float32 weights on the CPU.</summary>
    /// <param name="vocabularySize">Number of token ids that the model has to know; <see cref="VocabularySize"/> may be more.</param>
    /// <param name="computeType">The type matrix products are computed in: float32 or bfloat16. Weights stay float32.</param>
    /// <returns>A model in training mode; the caller disposes it.</returns>
    /// <exception cref="ConfigurationException">The options contradict each other.</exception>
    public LanguageModel Build(int vocabularySize, ScalarType computeType = ScalarType.Float32)
    {
        RequireType(computeType, ScalarType.Float32, ScalarType.BFloat16);
        return Build(vocabularySize, computeType, initialize: true);
    }

    /// <summary>Builds a model for inference whose weights are yet to be loaded: they have no values. Its matrices are held in the compute type alone, and
    /// there are no gradients for them.</summary>
    /// <param name="vocabularySize">Number of token ids that the model has to know; <see cref="VocabularySize"/> may be more.</param>
    /// <param name="computeType">The type of matrices: float32; bfloat16; or, on the CPU, int8: blocks of 8 bits (<see cref="Trainer.Kernels.BlockQuantization"/>) that are multiplied
    /// in float32, half the memory of bfloat16.</param>
    /// <returns>A model in evaluation mode; the caller disposes it.</returns>
    /// <exception cref="ConfigurationException">The options contradict each other.</exception>
    /// <exception cref="UserException">In int8, a matrix has rows that are not made of whole blocks.</exception>
    public LanguageModel BuildForInference(int vocabularySize, ScalarType computeType = ScalarType.Float32)
    {
        RequireType(computeType, ScalarType.Float32, ScalarType.BFloat16, ScalarType.Int8);
        LanguageModel model = Build(vocabularySize, computeType, initialize: false);
        try
        {
            foreach (IRoundsWeights module in model.modules().OfType<IRoundsWeights>()) module.RoundWeights();
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

    private LanguageModel Build(int vocabularySize, ScalarType computeType, bool initialize)
    {
        ArgumentOutOfRangeException.ThrowIfLessThan(vocabularySize, 1);
        Problem[] problems = [.. ModelValidation.All(this)];
        if (problems.Length > 0) throw new ConfigurationException(problems);
        int rows = EmbeddingRows(vocabularySize);
        LanguageModel model = Create(rows, computeType);
        if (!initialize) return model;
        // Embeddings once drew numbers of their own first: a seed is to give the weights that it has always given.
        randn(rows, Dim).Dispose();
        Initialize.Apply(model);
        return model;
    }

    /// <summary>Rows of the token embedding, V.</summary>
    /// <param name="tokens">Tokens of the tokenizer.</param>
    /// <exception cref="ConfigurationException">The model has fewer rows than there are tokens.</exception>
    public int EmbeddingRows(int tokens) => (VocabularySize ?? tokens) >= tokens
        ? VocabularySize ?? tokens
        : throw new ConfigurationException([new("vocabularySize", $"vocabularySize ({VocabularySize}) is less than the {tokens} tokens of the tokenizer; leave it out or use {tokens} or more")]);

    /// <summary>The rules between the parts of this model; each part reports its own rules itself.</summary>
    /// <returns>Problems with paths relative to the model.</returns>
    public virtual IEnumerable<Problem> Validate() => ModelValidation.BetweenParts(this);

    /// <summary>The stacks of blocks of this architecture, in the order of their weights.</summary>
    internal abstract IReadOnlyList<StackOptions> Stacks { get; }

    /// <summary>Whether the stack that these options describe is a decoder: no position sees a later one.</summary>
    internal abstract bool IsCausal { get; }

    /// <summary>Whether one of its stacks sees the whole text.</summary>
    internal abstract bool HasEncoder { get; }

    /// <summary>What is wrong with a pattern of this architecture's stack; null when nothing is.</summary>
    internal abstract string? Refuses(PatternOptions pattern);

    /// <summary>Attention that the architecture has beside <see cref="Attention"/>: <c>encoderAttention</c>.</summary>
    internal virtual AttentionOptions? OtherAttention => null;

    /// <summary>Weights and running costs of what the architecture has beside its stacks, token embeddings and head.</summary>
    internal virtual PartCost ExtraHeadCost => default;

    /// <summary>The modules of the model, not initialised.</summary>
    private protected abstract LanguageModel Create(int vocabularySize, ScalarType computeType);

    /// <summary>The parts that each layer of the stack is made of.</summary>
    private protected IReadOnlyList<LayerOptions> LayersOf(int count, AttentionOptions? cross = null)
    {
        LayerGroupOptions?[] groups = LayerPattern is null ? [null] : [.. LayerPattern.SelectMany(group => Enumerable.Repeat(group, group.Repeat))];
        return [.. Enumerable.Range(0, count).Select(index => Layer(groups[index % groups.Length], cross))];
    }

    private LayerOptions Layer(LayerGroupOptions? group, AttentionOptions? cross) =>
        new(Resolved(group?.Attention ?? Attention), cross, group?.Position ?? Position, group?.FeedForward ?? FeedForward, Norm) { Mixer = group?.Mixer ?? Mixer };

    /// <summary>Attention with this architecture's pattern where it names none.</summary>
    internal AttentionOptions Resolved(AttentionOptions attention) =>
        attention.Pattern is not null ? attention : attention with { Pattern = IsCausal ? new CausalOptions() : new FullOptions() };
}
