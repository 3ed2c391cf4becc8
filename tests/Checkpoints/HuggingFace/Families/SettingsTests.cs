using System.Text.Json.Nodes;
using TorchSharp;
using Trainer.Checkpoints.Gguf;
using Trainer.Checkpoints.HuggingFace;
using Trainer.Checkpoints.HuggingFace.Families;
using Trainer.Checkpoints.Weights;
using Trainer.Configuration;
using Trainer.Models;
using Trainer.Tests;
using static TorchSharp.torch;

namespace Trainer.Checkpoints.Tests.HuggingFace.Families;

/// <summary>Each setting of a model, in a model of each family: what is exported computes the same, and where no family has the setting, an
/// error names it.</summary>
public class SettingsTests
{
    private const int Vocabulary = 40, Length = 24;

    private const string Mamba = """{"type":"mamba2","headDim":8,"stateDim":8}""";
    private const string Balanced = ""","balance":{"type":"bias"}""";

    public static TheoryData<string> Families { get; } =
        ["llama", "mistral", "qwen2-window", "qwen3", "mixtral", "deepseek-v3", "gpt2", "gpt-neox", "bloom", "bert", "t5-v1.1", "bart"];

    private static readonly (string Path, string Value)[] Settings =
    [
        ("mixer", Mamba),
        ("attention", """{"type":"multi-head","heads":4}"""),
        ("attention", """{"type":"multi-query","heads":4}"""),
        ("attention", """{"type":"latent","heads":4}"""),
        ("attention", """{"type":"differential","heads":4}"""),
        ("attention.pattern", """{"type":"full"}"""),
        ("attention.pattern", """{"type":"sliding","window":8}"""),
        ("attention.pattern", """{"type":"sliding","window":8,"sinks":2}"""),
        ("attention.pattern", """{"type":"sliding","window":9,"causal":false}"""),
        ("attention.pattern", """{"type":"prefix","prefixLength":4}"""),
        ("attention.pattern", """{"type":"strided","stride":4}"""),
        ("attention.pattern", """{"type":"fixed","stride":4}"""),
        ("attention.pattern", """{"type":"longformer","window":5,"causal":true}"""),
        ("attention.pattern", """{"type":"bigbird","blockSize":4}"""),
        ("attention.kernel", "\"linear\""),
        ("attention.kernel", "\"reference\""),
        ("attention.cache", "\"contiguous\""),
        ("attention.queryKeyNorm", "true"),
        ("attention.queryKeyNorm", "false"),
        ("attention.scale", "0.2"),
        ("attention.softCap", "2"),
        ("attention.scalableSoftmax", "true"),
        ("attention.temperature", """{"floor":4,"scale":0.5}"""),
        ("attention.bias", "true"),
        ("attention.bias", "false"),
        ("attention.outputBias", "true"),
        ("attention.outputBias", "false"),
        ("attention.headDim", "16"),
        ("position", """{"type":"none"}"""),
        ("position", """{"type":"sinusoidal"}"""),
        ("position", """{"type":"learned"}"""),
        ("position", """{"type":"alibi"}"""),
        ("position", """{"type":"t5","buckets":8,"maxDistance":16}"""),
        ("position", """{"type":"rotary","theta":500}"""),
        ("position", """{"type":"rotary","layout":"interleaved"}"""),
        ("position", """{"type":"rotary","fraction":0.5}"""),
        ("position", """{"type":"rotary","scaling":{"type":"linear","factor":2}}"""),
        ("position", """{"type":"rotary","scaling":{"type":"ntk","factor":2}}"""),
        ("position", """{"type":"rotary","scaling":{"type":"ntk-by-parts","factor":2}}"""),
        ("position", """{"type":"rotary","scaling":{"type":"dynamic-ntk","originalLength":16}}"""),
        ("position", """{"type":"rotary","scaling":{"type":"yarn","factor":4}}"""),
        ("position", """{"type":"rotary","scaling":{"type":"yarn","factor":4,"attentionFactor":1.5}}"""),
        ("position", """{"type":"rotary","scaling":{"type":"yarn","factor":4,"mscale":1,"mscaleAllDim":0.5}}"""),
        ("position", """{"type":"rotary","scaling":{"type":"llama3","factor":4,"originalLength":16}}"""),
        .. new[] { "relu", "relu2", "gelu", "gelu-tanh", "silu", "glu", "reglu", "geglu", "geglu-tanh", "swiglu" }.Select(
            type => ("feedForward", $$"""{"type":"{{type}}"}""")),
        ("feedForward.bias", "true"),
        ("feedForward.bias", "false"),
        ("feedForward.hiddenDim", "56"),
        ("feedForward", Experts("")),
        ("feedForward", Experts(Balanced)),
        ("feedForward", Experts(""","balance":{"type":"none"}""")),
        ("feedForward", Experts(""","activation":"geglu","shared":0""")),
        ("feedForward", Experts(""","shared":1""")),
        ("feedForward", Experts(""","router":"sigmoid","groups":1""")),
        ("feedForward", Experts(""","router":"sigmoid","scale":2.5,"groups":2,"activeGroups":1""")),
        ("feedForward", Experts(""","normalizeWeights":false""")),
        ("feedForward", Experts(""","scale":2""")),
        ("norm.placement", "\"pre\""),
        ("norm.placement", "\"post\""),
        ("norm.placement", "\"sandwich\""),
        ("norm.epsilon", "0.5"),
        ("norm.type", "\"rms\""),
        ("norm.type", "\"layer\""),
        .. new[] { "bias", "parallelResidual", "scaleEmbeddings", "embeddingNorm", "headBias", "headTransform", "tieEmbeddings" }
            .SelectMany(flag => new[] { (flag, "true"), (flag, "false") }),
        ("logitScale", "0.5"),
        ("logitSoftCap", "2"),
        ("dropout", "0.1"),
        ("encoderLayers", "3"),
        ("encoderPattern", """{"type":"sliding","window":5,"causal":false}"""),
        ("encoderAttention", """{"type":"multi-query","heads":4}"""),
        ("layerPattern", $$"""[{"mixer":{{Mamba}}},{"repeat":1}]"""),
        ("layerPattern", $$"""[{"repeat":1},{"mixer":{{Mamba}}}]"""),
        ("layerPattern", """[{"attention":{"pattern":{"type":"sliding","window":8}}},{"repeat":1}]"""),
        (
            "layerPattern",
            """[{"attention":{"pattern":{"type":"sliding","window":8}}},{"attention":{"pattern":{"type":"sliding","window":5}}}]"""),
        ("layerPattern", """[{"attention":{"kernel":"linear"}},{"repeat":1}]"""),
        ("layerPattern", """[{"attention":{"queryKeyNorm":true}},{"attention":{"queryKeyNorm":false}}]"""),
        ("layerPattern", """[{"position":{"type":"none"}},{"repeat":1}]"""),
        ("layerPattern", """[{"repeat":1},{"position":{"type":"none"}}]"""),
        ("layerPattern", """[{"feedForward":{"type":"relu"}},{"repeat":1}]"""),
        ("layerPattern", """[{"feedForward":{"type":"relu"}}]"""),
        ("layerPattern", $$"""[{"feedForward":{{Experts(Balanced)}} },{"repeat":1}]"""),
        ("layerPattern", """[{"repeat":1},{"feedForward":{"hiddenDim":56}}]"""),
    ];

    private static string Experts(string more) =>
        $$"""{"type":"experts","experts":4,"active":2,"hiddenDim":24,"bias":false,"routerZLoss":0{{more}}}""";

    [Theory]
    [MemberData(nameof(Families))]
    public void A_changed_setting_is_computed_alike_after_an_export_or_named(string fixture)
    {
        using HuggingFaceImport source = Goldens.Open(fixture);
        ModelOptions plain = source.Options with { VocabularySize = Vocabulary };
        string family = FamilyRegistry.Of(plain).ModelType;
        int expressed = 0;
        foreach ((string path, string value) in Settings)
        {
            if (Changed(plain, path, value) is not { } model) continue;
            try
            {
                Family found = FamilyRegistry.Of(model);
                RequireSame(model, found, $"{fixture} with {path} {value}, a {found.ModelType}");
                expressed++;
            }
            catch (UserException error)
            {
                if (error.Message.Contains($"nearest is {family}, ", StringComparison.Ordinal))
                    Assert.True(
                        error.Message.Contains(Named(path, value), StringComparison.Ordinal),
                        $"{fixture} with {path} {value}: {error.Message}");
                Assert.Contains("\n  model.", error.Message, StringComparison.Ordinal);
            }
        }
        Assert.InRange(expressed, 6, Settings.Length - 20); // both happen
    }

    /// <summary>How an error names a setting; biases by where they are.</summary>
    private static string Named(string path, string value) => path switch
    {
        "layerPattern" =>
            "\n  model." + ((JsonArray)JsonNode.Parse(value)!).SelectMany(group => (JsonObject)group!).First(
                entry => entry.Key != "repeat").Key,
        "attention.bias" or "attention.outputBias" => "\n  model.attention.",
        "bias" => "ias is ",
        _ => $"\n  model.{path}",
    };

    /// <summary>The model with one setting changed; null where there is no such model.</summary>
    private static ModelOptions? Changed(ModelOptions model, string path, string value)
    {
        JsonObject json = (JsonObject)JsonNode.Parse(ConfigurationJson.Serialize(model))!;
        JsonObject into = json;
        string[] keys = path.Split('.');
        foreach (string key in keys[..^1]) into = (JsonObject)into[key]!;
        into[keys[^1]] = JsonNode.Parse(value);
        try
        {
            return ConfigurationJson.Deserialize<ModelOptions>(json.ToJsonString(), path);
        }
        catch (ConfigurationException)
        {
            return null;
        }
    }

    /// <summary>What a family writes and reads again is the model, and its rules know all tensors of it.</summary>
    private static void RequireSame(ModelOptions model, Family family, string what)
    {
        ModelOptions resolved = CanonicalModel.Resolved(model);
        ModelOptions again = family.Read(
            HuggingFaceConfig.Of((JsonObject)JsonNode.Parse(family.Write(resolved).ToJsonString())!)) with { VocabularySize = Vocabulary };
        using DisposeScope scope = NewDisposeScope();
        using IDisposable quiet = no_grad();
        using LanguageModel native = model.Build(Vocabulary), external = again.Build(Vocabulary);
        Dictionary<string, Tensor> state = native.state_dict().ToDictionary(entry => entry.Key, entry => entry.Value);
        manual_seed(1);
        foreach (Tensor weight in state.Values) weight.normal_(0, 0.5);
        RequireTensors(state, family.Weights(resolved, Vocabulary), what);
        if (family.ModelType is "llama" or "mistral" or "mixtral" or "qwen2" or "qwen3" or "gpt2"
            && GgufLayout.Of(family.ModelType) is { } layout && Refusal(layout, resolved) is null)
            RequireTensors(state, new([.. layout.Weights(resolved, Vocabulary)]), $"{what}, as GGUF");
        foreach ((string name, Tensor weight) in external.state_dict().Select(entry => (entry.Key, entry.Value)))
        {
            if (state.TryGetValue(name, out Tensor? value)) weight.copy_(value);
            else Assert.True(name.EndsWith(".balance", StringComparison.Ordinal), $"{what}: {name}"); // zeros
        }
        TensorAssert.Close(Logits(native), Logits(external), 1e-4, what);
    }

    private static string? Refusal(GgufLayout layout, ModelOptions model)
    {
        string? reason = layout.WhyUnsupported(model);
        if (reason is not null) Assert.StartsWith("model.", reason, StringComparison.Ordinal);
        return reason;
    }

    private static void RequireTensors(Dictionary<string, Tensor> state, WeightMap map, string what)
    {
        string[] native = [.. state.Select(entry => $"{entry.Key} [{string.Join(", ", entry.Value.shape)}]").Order(StringComparer.Ordinal)];
        string[] known = [.. map.Native.Select(shape => $"{shape.Name} [{string.Join(", ", shape.Shape)}]").Order(StringComparer.Ordinal)];
        Assert.True(
            native.SequenceEqual(known), $"{what}: {string.Join("; ", native.Except(known))} / {string.Join("; ", known.Except(native))}");
    }

    private static Tensor Logits(LanguageModel model)
    {
        model.eval();
        Tensor tokens = tensor([.. Enumerable.Range(0, Length).Select(i => (long)(i * i * 7 + 3 * i) % Vocabulary)], [1, Length]);
        return model.forward(model.Options is EncoderDecoderOptions ? new ModelInput(tokens) { Source = tokens.flip(1) } : tokens);
    }
}
