using Trainer.Checkpoints.HuggingFace.Families;
using Trainer.Checkpoints.Weights;
using Trainer.Configuration;
using Trainer.Models;
using Trainer.Models.Adapters;

namespace Trainer.Checkpoints.Adapters;

/// <summary>The names in Hugging Face's model of the matrices that can have adapters, and those of PEFT's files.</summary>
internal sealed class PeftModules : IDisposable
{
    public const string Configuration = "adapter_config.json", Weights = "adapter_model.safetensors", Prefix = "base_model.model.";

    private const string WeightSuffix = ".weight";

    private readonly LanguageModel shapes;
    private readonly Dictionary<string, (AdapterTarget Target, string? Module)> modules; // by the target's name

    private PeftModules(ModelOptions model, int vocabulary, LanguageModel shapes)
    {
        (this.shapes, Family) = (shapes, FamilyRegistry.Of(model));
        Map = Family.Weights(CanonicalModel.Resolved(model), vocabulary);
        modules = AdapterTargets.Of(shapes).ToDictionary(target => target.Name, target => (target, ModuleOf(target)));
    }

    public Family Family { get; }

    public WeightMap Map { get; }

    public IEnumerable<AdapterTarget> Targets => modules.Values.Select(entry => entry.Target);

    /// <summary>Whether matrices are stored (inputs, outputs) there.</summary>
    public bool Transposed => modules.Values.Any(entry => Map.RuleOf($"{entry.Target.Layer}{WeightSuffix}") is { Transposes: true });

    /// <summary>The names in a checkpoint's own family.</summary>
    /// <exception cref="UserException">No family has the model.</exception>
    public static PeftModules Of(ModelOptions model, int tokens)
    {
        LanguageModel shapes = model.BuildForInference(tokens);
        try
        {
            return new(model, model.EmbeddingRows(tokens), shapes);
        }
        catch
        {
            shapes.Dispose();
            throw;
        }
    }

    /// <summary>A matrix's module there, such as <c>model.layers.0.self_attn.q_proj</c>.</summary>
    /// <exception cref="UserException">Its rows are fused with others there.</exception>
    public string Name(AdapterTarget target) => modules[target.Name].Module ?? throw new UserException(
        $"{target.Name} is no matrix of its own in {Family.ModelType} models, which have it in {Fused(target)}, and PEFT adapts whole " +
        "ones only: merge the adapter (convert --merge-adapter) and export that with --format huggingface");

    /// <summary>The matrix of a module there; null where none is the whole of one here.</summary>
    public AdapterTarget? Find(string module) => modules.Values.FirstOrDefault(entry => entry.Module == module).Target;

    /// <summary>Names for PEFT's lists, which match ends of names: short where that finds no other module.</summary>
    public IReadOnlyList<string> Patterns(IReadOnlyCollection<string> chosen)
    {
        string[] all = [.. Map.External.Where(shape => shape.Name.EndsWith(WeightSuffix, StringComparison.Ordinal))
            .Select(shape => shape.Name[..^WeightSuffix.Length])];
        string[] ends = [.. chosen.Select(LastPart).Distinct()];
        return all.Where(name => ends.Contains(LastPart(name))).ToHashSet().SetEquals(chosen) ? ends : [.. chosen];
    }

    public void Dispose() => shapes.Dispose();

    private static string LastPart(string name) => name[(name.LastIndexOf('.') + 1)..];

    private string Fused(AdapterTarget target) =>
        Map.RuleOf($"{target.Layer}{WeightSuffix}")?.External[0].Name ?? $"{target.Layer}{WeightSuffix}";

    private string? ModuleOf(AdapterTarget target)
    {
        if (Map.RuleOf($"{target.Layer}{WeightSuffix}") is not { KeepsRows: true } rule) return null;
        for (int i = 0; i < rule.External.Count; i++)
        {
            long first = rule.SliceStarts is { } starts ? starts[i] / target.Linear.Inputs : 0;
            long rows = rule.External[i].Shape[rule.Transposes ? 1 : 0];
            if ((first, rows) == (target.First, target.Rows)) return rule.External[i].Name[..^WeightSuffix.Length];
        }
        return null;
    }
}
