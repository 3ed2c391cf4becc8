using System.Text.Json.Nodes;
using Trainer.Checkpoints.HuggingFace;
using Trainer.Checkpoints.Weights;
using Trainer.Configuration;
using Trainer.Models;
using Trainer.Models.Adapters;
using static TorchSharp.torch;

namespace Trainer.Checkpoints.Adapters;

/// <summary>Writes an adapter as Hugging Face's PEFT does: <c>adapter_config.json</c> and <c>adapter_model.safetensors</c>.</summary>
internal static class PeftExport
{
    /// <summary>Writes a directory, complete or absent, and returns the family of the base.</summary>
    /// <exception cref="UserException">The checkpoint has no adapter, no family has its model, or a matrix is fused there.</exception>
    public static string Write(Checkpoint checkpoint, string directory, ScalarType type)
    {
        if (checkpoint.Configuration.Adapter is not LoraOptions options)
            throw new UserException(
                $"{checkpoint.Directory}: it holds a whole model and no adapter; export it with --format huggingface or gguf");
        using PeftModules modules = PeftModules.Of(checkpoint.Model, checkpoint.Tokenizer.VocabularySize);
        using IOpenWeights merged = checkpoint.OpenWeights(); // checks the adapter and its base
        using WeightFiles own = WeightFiles.OpenFile(Path.Combine(checkpoint.Directory, CheckpointFiles.Model));
        AdapterTarget[] targets = [.. modules.Targets.Where(target => own.Names.Contains($"{target.Update}.loraA"))];
        PendingTensor[] full = [.. InFull(modules, merged, own, type)];
        PendingTensor[] tensors =
        [
            .. targets.SelectMany(target => Updates(PeftModules.Prefix + modules.Name(target), target, own, type)),
            .. full.Select(tensor => tensor with { Name = PeftModules.Prefix + tensor.Name }),
        ];
        JsonObject configuration = Configuration(modules, options, checkpoint, [.. targets.Select(modules.Name)], ModulesOf(full));
        HuggingFaceExport.WriteDirectory(directory, into =>
        {
            Safetensors.Write(Path.Combine(into, PeftModules.Weights), tensors, new Dictionary<string, string> { ["format"] = "pt" });
            PythonJson.Save(into, PeftModules.Configuration, configuration);
        });
        return modules.Family.ModelType;
    }

    private static IEnumerable<PendingTensor> Updates(string module, AdapterTarget target, WeightFiles own, ScalarType type)
    {
        foreach ((string name, string external) in new[]
            { ("loraA", "lora_A.weight"), ("loraB", "lora_B.weight"), ("magnitude", "lora_magnitude_vector") })
        {
            string native = $"{target.Update}.{name}";
            if (own.Names.Contains(native))
                yield return new($"{module}.{external}", type, own.Info(native).Shape, () => own.Read(native).to_type(type));
        }
    }

    private static IEnumerable<PendingTensor> InFull(PeftModules modules, IWeightSource merged, WeightFiles own, ScalarType type)
    {
        HashSet<string> wanted = [.. own.Names.Where(merged.Names.Contains)
            .SelectMany(name => modules.Map.RuleOf(name)?.External.Select(external => external.Name) ?? [])];
        return modules.Map.Export(merged, type).Where(tensor => wanted.Contains(tensor.Name));
    }

    private static string[] ModulesOf(IEnumerable<PendingTensor> tensors) =>
        [.. tensors.Select(tensor => tensor.Name[..tensor.Name.LastIndexOf('.')]).Distinct()];

    private static JsonObject Configuration(
        PeftModules modules, LoraOptions options, Checkpoint checkpoint, IReadOnlyCollection<string> targets, string[] full) => new()
    {
        ["peft_type"] = "LORA",
        ["task_type"] = checkpoint.Model switch { DecoderOptions => "CAUSAL_LM", EncoderDecoderOptions => "SEQ_2_SEQ_LM", _ => null },
        ["base_model_name_or_path"] = checkpoint.Base!.Base,
        ["r"] = options.Rank,
        ["lora_alpha"] = Math.Floor(options.Alpha) == options.Alpha ? (long)options.Alpha : PythonJson.Number(options.Alpha),
        ["lora_dropout"] = PythonJson.Number(options.Dropout),
        ["use_rslora"] = options.RankStabilized,
        ["use_dora"] = options.WeightDecomposed,
        ["target_modules"] = List(modules.Patterns(targets)),
        ["modules_to_save"] = full.Length == 0 ? null : List(full),
        ["fan_in_fan_out"] = modules.Transposed,
        ["bias"] = "none",
        ["inference_mode"] = true,
        ["init_lora_weights"] = true,
    };

    private static JsonArray List(IEnumerable<string> names) => new([.. names.Select(name => (JsonNode)name)]);
}
