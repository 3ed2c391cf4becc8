using TorchSharp;
using Trainer.Checkpoints.HuggingFace.Families;
using Trainer.Checkpoints.Weights;
using Trainer.Configuration;
using Trainer.Models;
using Trainer.Models.Adapters;
using static TorchSharp.torch;

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
    public bool Transposed => modules.Values.Any(entry => Map.RuleOf(entry.Target.Weight) is { Transposes: true });

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

    /// <summary>The module there that has a matrix, such as <c>model.layers.0.self_attn.q_proj</c>, or
    /// <c>transformer.h.0.attn.c_attn</c>, which has others too.</summary>
    /// <exception cref="UserException">No matrix there has the same rows.</exception>
    public PeftModule Of(AdapterTarget target)
    {
        string there = modules[target.Name].Module ?? Fused(target);
        return Find(there) ?? throw new UserException(
            $"{target.Name} has no rows of its own in {Family.ModelType} models, where {there} stands for it: merge the adapter " +
            "(convert --merge-adapter) and export that with --format huggingface");
    }

    /// <summary>A module there, and the matrices here that are its rows; null where there are none.</summary>
    public PeftModule? Find(string module)
    {
        if (modules.Values.FirstOrDefault(entry => entry.Module == module).Target is { } whole)
            return new(module, whole.Place.Inputs, whole.Rows, [new(whole, null)]);
        if (Map.RuleOfExternal(module + WeightSuffix) is not { Native: [var native], External: [_] } rule
            || RowsThere(rule) is not { } rows) return null;
        PeftPart[] parts = [.. Targets.Where(target => target.Weight == native.Name)
            .Select(target => new PeftPart(target, rows[(int)target.First..(int)(target.First + target.Rows)]))];
        return parts.Length == 0 ? null : new(module, native.Shape[1], native.Shape[0], parts);
    }

    /// <summary>Names for PEFT's lists, which match ends of names: short where that finds no other module.</summary>
    public IReadOnlyList<string> Patterns(IReadOnlyCollection<string> chosen)
    {
        string[] all = [.. Map.External.Where(shape => shape.Name.EndsWith(WeightSuffix, StringComparison.Ordinal))
            .Select(shape => shape.Name[..^WeightSuffix.Length])];
        string[] ends = [.. chosen.Select(LastPart).Distinct()];
        return all.Where(name => ends.Contains(LastPart(name))).ToHashSet().SetEquals(chosen) ? ends : [.. chosen];
    }

    public void Dispose() => shapes.Dispose();

    // The row there of each row here, by what the rule makes of rows that hold their own numbers; null where it mixes rows.
    private static long[]? RowsThere(WeightRule rule)
    {
        if (rule.Native[0].Shape is not [var outputs, _]) return null;
        using DisposeScope scope = NewDisposeScope();
        Tensor numbers = arange(outputs, ScalarType.Int64);
        Tensor there = (rule.Transposes ? numbers : numbers.unsqueeze(-1)).expand(rule.External[0].Shape);
        Tensor here = rule.ToNative([there], 0), first = here.select(1, 0); // (R, C), (R)
        return here.eq(first.unsqueeze(-1)).all().item<bool>() ? first.contiguous().data<long>().ToArray() : null;
    }

    private static string LastPart(string name) => name[(name.LastIndexOf('.') + 1)..];

    private string Fused(AdapterTarget target)
    {
        string there = Map.RuleOf(target.Weight)?.External[0].Name ?? target.Weight;
        return there.EndsWith(WeightSuffix, StringComparison.Ordinal) ? there[..^WeightSuffix.Length] : there;
    }

    private string? ModuleOf(AdapterTarget target)
    {
        if (target.IsOfExperts || Map.RuleOf(target.Weight) is not { KeepsRows: true } rule) return null;
        for (int i = 0; i < rule.External.Count; i++)
        {
            long first = rule.SliceStarts is { } starts ? starts[i] / target.Place.Inputs : 0;
            long rows = rule.External[i].Shape[rule.Transposes ? 1 : 0];
            if ((first, rows) == (target.First, target.Rows)) return rule.External[i].Name[..^WeightSuffix.Length];
        }
        return null;
    }
}

/// <summary>A module there: a matrix (outputs, inputs), in one or several parts here.</summary>
internal sealed record PeftModule(string Name, long Inputs, long Outputs, IReadOnlyList<PeftPart> Parts);

/// <summary>A matrix here, and the rows of a module there that it is, in its order; null for all of them.</summary>
internal sealed record PeftPart(AdapterTarget Target, long[]? Rows)
{
    /// <summary>Its rows of what the module has a row of for each output.</summary>
    public Tensor RowsOf(Tensor there) => Rows is null ? there : there.index_select(0, tensor(Rows));

    /// <summary>Writes its rows of that.</summary>
    public void Write(Tensor here, Tensor there)
    {
        if (Rows is null) there.copy_(here);
        else there.index_copy_(0, tensor(Rows), here);
    }
}
