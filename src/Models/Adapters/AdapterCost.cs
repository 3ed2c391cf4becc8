using TorchSharp.Modules;
using Trainer.Kernels;
using Trainer.Models.FeedForward.Experts;
using static TorchSharp.torch;

namespace Trainer.Models.Adapters;

/// <summary>What adapters add to a model, and what is left to train of it.</summary>
public sealed record AdapterCost
{
    /// <summary>The adapters.</summary>
    public required AdapterOptions Options { get; init; }

    /// <summary>Numbers of all adapters.</summary>
    public required long Added { get; init; }

    /// <summary>Numbers of adapters that a token is multiplied with: of experts', those of the active ones.</summary>
    public required long Active { get; init; }

    /// <summary>Numbers that are trained, the adapters' among them, by what they do.</summary>
    public required IReadOnlyDictionary<ParameterRole, long> TrainedByRole { get; init; }

    /// <summary>Numbers of matrices of blocks that are not trained, which <see cref="AdapterOptions.BaseWeights"/> is about.</summary>
    public required long Frozen { get; init; }

    /// <summary>Bytes that these take.</summary>
    public long FrozenBytes => Options.BaseWeights switch
    {
        FrozenFormat.BFloat16 => 2 * Frozen,
        FrozenFormat.Int8 => BlockQuantization.Bytes(Frozen),
        _ => sizeof(float) * Frozen,
    };

    /// <summary>Numbers that are trained, the adapters' among them.</summary>
    public long Trained => TrainedByRole.Values.Sum();

    /// <summary>The cost of adapters on a valid model with this many token ids.</summary>
    /// <exception cref="Configuration.ConfigurationException">A name of the options is not the model's, or a rank is more than a
    /// matrix's.</exception>
    public static AdapterCost Of(ModelOptions model, int vocabularySize, AdapterOptions options)
    {
        // The adapters that are counted are drawn; nobody else's numbers may depend on that.
        using GeneratorSnapshot random = GeneratorSnapshot.Capture(CPU);
        using IDisposable drawn = random.Return();
        using LanguageModel built = model.BuildForInference(vocabularySize); // its weights take no memory before they are written
        long own = Numbers(built.parameters());
        built.Attach(options);
        long added = Numbers(built.parameters()) - own;
        IReadOnlyDictionary<string, ParameterRole> roles = built.ParameterLayout().Roles;
        return new()
        {
            Options = options,
            Added = added,
            Active = added - built.modules().OfType<ExpertsFeedForward>().Sum(layer => layer.IdleAdapters),
            Frozen = built.Blocks.SelectMany(block => block.modules()).Sum(FrozenNumbers),
            TrainedByRole = built.named_parameters().Where(entry => entry.parameter.requires_grad)
                .GroupBy(entry => roles[entry.name], entry => entry.parameter).ToDictionary(role => role.Key, Numbers),
        };
    }

    /// <summary>Whether anything of this kind is trained.</summary>
    internal bool Trains(ParameterRole role) => TrainedByRole.ContainsKey(role);

    /// <summary>Matrices that are trained in full and multiply every token.</summary>
    internal long TrainedMatrices(bool tied) => TrainedByRole.GetValueOrDefault(ParameterRole.Head)
        + (tied ? TrainedByRole.GetValueOrDefault(ParameterRole.Embedding) : 0)
        + Math.Max(0, TrainedByRole.GetValueOrDefault(ParameterRole.Matrix) - Added);

    private static long FrozenNumbers(nn.Module layer) => layer switch
    {
        MixedLinear { Freezes: true } linear => linear.Weight.numel(),
        ExpertBank bank => bank.Matrices.Where(matrix => matrix.Freezes).Sum(matrix => matrix.Weight.numel()),
        _ => 0,
    };

    private static long Numbers(IEnumerable<Parameter> parameters) => parameters.Sum(parameter => parameter.numel());
}
