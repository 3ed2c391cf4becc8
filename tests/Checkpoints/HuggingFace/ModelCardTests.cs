using System.Text.Json.Nodes;
using Trainer.Checkpoints.HuggingFace;
using Trainer.Checkpoints.Weights;
using static TorchSharp.torch;

namespace Trainer.Checkpoints.Tests.HuggingFace;

public sealed class ModelCardTests : IDisposable
{
    private const string Recipe = """
        {
          "name": "llama", "seed": 7,
          "data": { "train": [ { "path": "/home/me/books/*.txt", "weight": 2 }, { "format": "dotnet-docs" }, { "path": "data/a|b.jsonl" } ],
            "validationFraction": 0.05, "objective": "causal" },
          "training": { "steps": 2000, "batchSize": 32, "precision": "bfloat16" },
          "optimizer": { "type": "adamw", "learningRate": 0.001, "betas": [ 0.9, 0.95 ] },
          "schedule": { "type": "cosine", "warmupSteps": 100 },
          "initialize": { "from": "/srv/runs/base" }
        }
        """;

    private readonly TemporaryFolder folder = new();

    public void Dispose() => folder.Dispose();

    [Fact]
    public void The_card_of_a_trained_model_tells_its_data_recipe_and_figures_and_no_path_of_the_machine() => Assert.Equal("""
        ---
        library_name: transformers
        pipeline_tag: text-generation
        tags:
        - llama
        ---

        # llama

        ## Model

        | | |
        | --- | --- |
        | family | llama (LlamaForCausalLM) |
        | parameters | 18,080 |
        | context | 64 tokens |
        | vocabulary | 40 tokens |
        | width | 32 |

        ## Training

        | | |
        | --- | --- |
        | data | *.txt (weight 2); dotnet-docs; data/a\|b.jsonl |
        | validation data | the last 5 % of the data |
        | objective | causal |
        | begun with | the weights of base |
        | steps | 1,500 of 2,000 planned, 6,144,000 tokens |
        | batch | 32 rows |
        | optimizer | adamw, learningRate 0.001, betas 0.9 0.95 |
        | schedule | cosine, warmupSteps 100 |
        | precision | bfloat16 |
        | seed | 7 |

        ## Figures

        Lowest validation loss 1.5000 nats per predicted token, perplexity 4.48.

        ## Use

        ```python
        from transformers import AutoTokenizer, AutoModelForCausalLM

        folder = "."  # where this file is
        tokenizer = AutoTokenizer.from_pretrained(folder)
        model = AutoModelForCausalLM.from_pretrained(folder)
        ```

        """.ReplaceLineEndings("\n"), CardOf("llama", State(bestStep: 1500)));

    [Fact]
    public void A_loss_of_another_step_is_said_to_be_one() => Assert.Contains(
        "Lowest validation loss 1.5000 nats per predicted token, perplexity 4.48, of step 1000; these weights are of step 1500.\n",
        CardOf("llama", State(bestStep: 1000)));

    [Theory]
    [InlineData("bert", "fill-mask", "AutoModelForMaskedLM")]
    [InlineData("t5-v1.1", "text2text-generation", "AutoModelForSeq2SeqLM")]
    [InlineData("gpt2", "text-generation", "AutoModelForCausalLM")]
    public void The_card_of_an_imported_model_says_that_its_training_is_not_known(string fixture, string task, string loader)
    {
        string card = CardOf(fixture, state: null);
        Assert.Contains($"pipeline_tag: {task}\n", card);
        Assert.Contains($"model = {loader}.from_pretrained(folder)\n", card);
        Assert.Contains("## Training\n\nThe checkpoint was imported or converted where this was written: how it was trained is not known there.\n",
            card);
        Assert.DoesNotContain("## Figures", card);
        Assert.DoesNotContain("optimizer", card);
    }

    private string CardOf(string fixture, CheckpointState? state)
    {
        string native = folder.PathOf("ours.safetensors");
        using HuggingFaceImport import = Goldens.Open(fixture);
        Safetensors.Write(native, import.Weights);
        using WeightFiles weights = WeightFiles.OpenFile(native);
        ExportSource source = new(fixture, import.Options, import.Tokenizer, weights, import.Companions)
        {
            Origin = state is null ? null : new((JsonObject)JsonNode.Parse(Recipe)!, state),
        };
        HuggingFaceExport.Write(source, folder.PathOf("out"), ScalarType.Float32);
        return File.ReadAllText(folder.PathOf("out/README.md"));
    }

    private static CheckpointState State(long bestStep) => new()
    {
        Step = 1500, Tokens = 6_144_000, Position = new(0, 0), DataFingerprint = "", Random = new([], null), BestLoss = 1.5,
        BestStep = bestStep,
    };
}
