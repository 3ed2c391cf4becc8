namespace Trainer.Cli.Tests;

/// <summary>What a user gets wrong: a clear message, the right exit code, never a stack trace.</summary>
public sealed class BadInputTests(TrainedModel trained)
{
    [Theory]
    [InlineData("data.train.0.path=nowhere.txt", 1, "nowhere.txt")]
    [InlineData("model.attention.hedas=4", 2, "heads")]
    [InlineData("training.steps=many", 2, "\"many\" is not a whole number")]
    [InlineData("model.attention.heads=5", 2, "5")]
    [InlineData("model.attention.keyValueHeads=3", 2, "heads (4) must be a multiple of keyValueHeads (3)")]
    [InlineData("model.contextLength=5000", 1, "5000")]
    [InlineData("model.position.type=spiral", 2, "rotary")]
    [InlineData("tokenizer={\"type\":\"tiktoken\",\"encoding\":\"gpt-2\"}", 2,
        "did you mean gpt2? Allowed: gpt2, r50k_base, cl100k_base, o200k_base")]
    [InlineData("optimizer.learningRate=-1", 2, "learningRate")]
    [InlineData("training.microBatchSize=3", 2, "microBatchSize (3) must divide batchSize (4)")]
    [InlineData("no-equals-sign", 2, "=")]
    public void A_setting_that_cannot_be_is_refused_with_the_reason(string setting, int exitCode, string part)
    {
        using var workspace = new Workspace();
        Fails(workspace.Run("train", "small.json", "--set", setting), exitCode, part);
        Assert.False(Directory.Exists(workspace.PathOf("runs/small/checkpoints")));
    }

    [Fact]
    public void A_GPU_that_is_not_there_is_one_line_with_the_way_out()
    {
        using var workspace = new Workspace();
        var outcome = workspace.Run("train", "small.json", "--set", "training.device=cuda");
        Fails(outcome, 1, "--set training.device=cpu");
        Assert.StartsWith("device 'cuda' is asked for, but libtorch ", outcome.Error, StringComparison.Ordinal);
        Assert.Equal(outcome.Error.Length - 1, outcome.Error.IndexOf('\n'));
        Assert.False(Directory.Exists(workspace.PathOf("runs/small/checkpoints")));
    }

    [Fact]
    public void Flash_that_cannot_run_is_refused_not_replaced()
    {
        using var workspace = new Workspace();
        Fails(workspace.Run("train", "small.json", "--set", "model.dim=1040", "model.attention.heads=2", "model.attention.kernel=flash"), 2,
            "256");
    }

    [Fact]
    public void All_mistakes_are_reported_at_once()
    {
        using var workspace = new Workspace();
        var outcome = workspace.Run("train", "small.json", "--set", "training.steps=x", "model.layers=-1", "modle.dim=3");
        Assert.Equal(2, outcome.ExitCode);
        Assert.Contains("3 problems", outcome.Error, StringComparison.Ordinal);
        Assert.All(["training.steps", "model.layers", "modle"], path => Assert.Contains(path, outcome.Error, StringComparison.Ordinal));
    }

    [Fact]
    public void An_empty_text_is_refused_by_its_name()
    {
        using var workspace = new Workspace();
        File.WriteAllText(workspace.PathOf("text.txt"), "");
        Fails(workspace.Run("train", "small.json"), 1, "text.txt");
    }

    [Theory]
    [InlineData("train")]
    [InlineData("train", "missing.json")]
    [InlineData("train", "small.json", "--rsume")]
    [InlineData("fly")]
    public void A_command_line_that_makes_no_sense_is_refused(params string[] arguments)
    {
        using var workspace = new Workspace();
        Fails(workspace.Run(arguments), 2, "");
    }

    [Theory]
    [InlineData("corpus", "x", "--limit", "abc")]
    [InlineData("evaluate", "x", "--task")]
    [InlineData("export", "x", "--output", "y", "--format")]
    [InlineData("convert", "x", "--output", "y", "--average", "abc")]
    [InlineData("plan", "--data", "x", "--time", "99999999999d")]
    public void An_option_without_a_value_that_goes_is_refused_and_help_is_named(params string[] arguments)
    {
        using var workspace = new Workspace();
        var outcome = workspace.Run(arguments);
        Fails(outcome, 2, $"See: dotnet run -- {arguments[0]} --help");
        Assert.DoesNotContain("Exception", outcome.Error, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("--temperature is 0,5; write a point", "generate", "x", "--prompt", "the", "--temperature", "0,5")]
    [InlineData("--factor is 1,5; write a point", "convert", "x", "--output", "y", "--rope-scaling", "yarn", "--factor", "1,5")]
    public void A_comma_in_a_number_is_refused(string part, params string[] arguments)
    {
        using var workspace = new Workspace();
        Fails(workspace.Run(arguments), 2, part);
    }

    [Fact]
    public void A_path_that_is_empty_is_called_so()
    {
        using var workspace = new Workspace();
        Fails(workspace.Run("train", ""), 2, "a path on the command line is empty");
    }

    [Fact]
    public void A_text_that_begins_with_an_at_sign_names_no_file_of_arguments()
    {
        using var workspace = new Workspace();
        Fails(workspace.Run("generate", "nowhere", "--prompt", "@alice said"), 1, "nowhere");
    }

    [Fact]
    public void A_checkpoint_that_is_missing_damaged_or_truncated_is_named()
    {
        using var workspace = trained.Copy();
        Fails(workspace.Run("generate", "nowhere", "--prompt", "the"), 1, "nowhere");
        var weights = workspace.PathOf("run/checkpoints/step-00000010/model.safetensors");
        var bytes = File.ReadAllBytes(weights);

        bytes[^1] ^= 1;
        File.WriteAllBytes(weights, bytes);
        Fails(workspace.Run("generate", "run", "--prompt", "the"), 1, "model.safetensors");
        File.WriteAllBytes(weights, bytes[..^100]);
        Fails(workspace.Run("inspect", "run"), 1, "model.safetensors");
        Fails(workspace.Run("train", "small.json", "--run", "run", "--resume"), 1, "none of the 1 checkpoint");
    }

    [Fact]
    public void A_prompt_or_sampling_that_cannot_be_is_refused()
    {
        using var workspace = trained.Copy();
        Fails(workspace.Run("generate", "run", "--prompt", Workspace.Words(50)), 1, "32");
        Fails(workspace.Run("generate", "run", "--prompt", "the", "--top-p", "2"), 2, "topP (2)");
        Fails(workspace.Run("generate", "run", "--prompt", "the Ω"), 1, "Ω");
    }

    [Fact]
    public void A_run_that_exists_already_is_not_overwritten()
    {
        using var workspace = trained.Copy();
        Fails(workspace.Run("train", "small.json", "--run", "run", "--set", "training.steps=10"), 1, "--resume");
    }

    // A real full disk: root may mount one of 300 kB; elsewhere the store's own tests stand for it.
    [Fact]
    public void A_full_disk_while_saving_leaves_the_earlier_checkpoint_whole()
    {
        using var workspace = new Workspace();
        var disk = workspace.PathOf("disk");
        Directory.CreateDirectory(disk);
        if (Command.Run("mount", ["-t", "tmpfs", "-o", "size=700k", "tmpfs", disk]).ExitCode != 0)
            Assert.Skip("mounting a small disk needs root");
        try
        {
            var outcome = workspace.Run(
                "train", "small.json", "--run", "disk/run", "--set", "checkpoint.keep=10", "monitoring.tensorBoard=false");
            Fails(outcome, 1, "No space left");
            var store = Directory.GetDirectories(Path.Combine(disk, "run/checkpoints"));
            Assert.NotEmpty(store);
            Assert.All(store, path => Assert.StartsWith("step-", Path.GetFileName(path), StringComparison.Ordinal));
            workspace.Succeeds("inspect", "disk/run");
        }
        finally
        {
            Command.Run("umount", [disk]);
        }
    }

    internal static void Fails(Outcome outcome, int exitCode, string part)
    {
        Assert.True(outcome.ExitCode == exitCode, $"exit code {outcome.ExitCode}, expected {exitCode}: {outcome.Error}");
        Assert.Contains(part, outcome.Error, StringComparison.Ordinal);
        Assert.DoesNotContain("   at ", outcome.Error, StringComparison.Ordinal);
        Assert.NotEmpty(outcome.Error.Trim());
    }
}
