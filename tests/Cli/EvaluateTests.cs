using System.Text.Json;

namespace Trainer.Cli.Tests;

/// <summary><c>evaluate</c> as a user runs it.</summary>
public sealed class EvaluateTests(TrainedRun trained, TrainedModel model) : IClassFixture<TrainedRun>
{
    private readonly Workspace workspace = trained.Workspace;

    [Fact]
    public void Every_figure_comes_with_window_stride_tokens_and_tokenizer()
    {
        var outcome = workspace.Succeeds("evaluate", "run", "--json", "figures.json");
        using var json = JsonDocument.Parse(File.ReadAllText(workspace.PathOf("figures.json")));
        var figures = json.RootElement;

        var (loss, tokens) = (figures.GetProperty("negativeLogLikelihood").GetDouble(), figures.GetProperty("tokens").GetInt64());
        Assert.Equal(Math.Exp(loss / tokens), figures.GetProperty("perplexity").GetDouble(), 1e-9);
        Assert.Equal(loss / Math.Log(2) / tokens, figures.GetProperty("bitsPerByte").GetDouble(), 1e-9); // ASCII, a token a character
        Assert.Equal(loss / Math.Log(2) / tokens, figures.GetProperty("bitsPerToken").GetDouble(), 1e-9);
        Assert.Equal((32, 32), (figures.GetProperty("window").GetInt32(), figures.GetProperty("stride").GetInt32()));
        Assert.Equal("character", figures.GetProperty("tokenizer").GetString());
        Assert.Equal("the validation data of small", figures.GetProperty("data").GetString());
        Assert.Equal(JsonValueKind.Null, figures.GetProperty("beginningToken").ValueKind);
        Assert.Contains("(window 32, stride 32)", outcome.Output, StringComparison.Ordinal);
        Assert.Contains($"{tokens}, each once", outcome.Output, StringComparison.Ordinal);
        Assert.Contains("none: the first token of the text is not scored", outcome.Output, StringComparison.Ordinal);
    }

    [Fact]
    public void A_text_of_ones_own_is_scored_once_at_any_window_and_stride()
    {
        File.WriteAllText(workspace.PathOf("own.txt"), Workspace.Words(40));
        var length = Workspace.Words(40).Length;

        var (disjoint, sliding) = (Figures("--window", "16"), Figures("--window", "16", "--stride", "4"));

        Assert.Equal((length - 1, length - 1), (Tokens(disjoint), Tokens(sliding)));
        Assert.NotEqual(disjoint.GetProperty("perplexity").GetDouble(), sliding.GetProperty("perplexity").GetDouble());
        Assert.Equal(length, Tokens(Figures("--bos", "0")));
        Assert.True(Figures("--bos", "0", "--bos-every-window").GetProperty("beginningInEveryWindow").GetBoolean());

        static long Tokens(JsonElement figures) => figures.GetProperty("tokens").GetInt64();
        JsonElement Figures(params string[] more)
        {
            workspace.Succeeds(["evaluate", "run", "--data", "own.txt", "--json", "own.json", .. more]);
            return JsonDocument.Parse(File.ReadAllText(workspace.PathOf("own.json"))).RootElement;
        }
    }

    [Fact]
    public void A_task_is_asked_and_its_figures_have_errors()
    {
        File.WriteAllLines(workspace.PathOf("words.jsonl"), Enumerable.Range(0, 8).Select(
            i => $$"""{"text": "the model reads a", "choices": ["token", "nekot"], "answer": {{i % 2}}}"""));
        File.WriteAllText(workspace.PathOf("words.json"), """
            { "task": "words", "output_type": "multiple_choice", "data": "words.jsonl",
              "doc_to_text": "text", "doc_to_choice": "choices", "doc_to_target": "answer" }
            """);

        var outcome = workspace.Succeeds("evaluate", "run", "--task", "words.json", "--shots", "0", "--json", "task.json");

        var task = JsonDocument.Parse(File.ReadAllText(workspace.PathOf("task.json"))).RootElement.GetProperty("tasks")[0];
        var accuracy = task.GetProperty("figures")[0];
        Assert.Equal((8, 0.5), (task.GetProperty("questions").GetInt32(), accuracy.GetProperty("value").GetDouble()));
        Assert.Equal(Math.Sqrt(0.25 / 7), accuracy.GetProperty("standardError").GetDouble(), 1e-12);
        Assert.Matches(@"words +0 +8  acc +0\.5000 +0\.1890", outcome.Output);
        BadInputTests.Fails(workspace.Run("evaluate", "run", "--task", "gone.json"), 1, "gone.json: the task cannot be read");
        BadInputTests.Fails(workspace.Run("evaluate", "run", "--shots", "1"), 2, "--shots is for tasks: give --task, or leave it out.");
        BadInputTests.Fails(
            workspace.Run("evaluate", "run", "--task", "words.json", "--window", "8"), 2, "leave out --window, or --task");
    }

    [Fact]
    public void Evaluate_and_score_agree()
    {
        File.WriteAllText(workspace.PathOf("short.txt"), "the model reads a token");
        workspace.Succeeds("evaluate", "run", "--data", "short.txt", "--json", "evaluated.json");
        workspace.Succeeds("score", "run", "--text", "the model reads a token", "--json", "scored.json");
        using var evaluated = JsonDocument.Parse(File.ReadAllText(workspace.PathOf("evaluated.json")));
        using var scored = JsonDocument.Parse(File.ReadAllText(workspace.PathOf("scored.json")));

        var sum = scored.RootElement.GetProperty("negativeLogLikelihood").EnumerateArray().Skip(1).Sum(loss => loss.GetDouble());
        Assert.Equal(evaluated.RootElement.GetProperty("negativeLogLikelihood").GetDouble(), sum, 1e-3);
    }

    [Theory]
    [InlineData(2, "command line: 1 problem\n  --stride: stride (9) must be at most window (8), or tokens between windows would not be " +
        "scored; use --stride 8 for windows that do not overlap", "--window", "8", "--stride", "9")]
    [InlineData(2, "command line: 1 problem\n  --stride: stride (33) must be at most window (32), or tokens between windows would not " +
        "be scored; use --stride 32 for windows that do not overlap", "--stride", "33")]
    [InlineData(2, "command line: 1 problem\n  --window: window (0) must be 1 or more", "--window", "0")]
    [InlineData(2, "command line: 1 problem\n  --stride: stride (0) must be 1 or more", "--stride", "0")]
    [InlineData(2, "Cannot parse argument 'many' for option '--window'", "--window", "many")]
    [InlineData(2, "--bos-every-window needs --bos: which token begins a text?", "--bos-every-window")]
    [InlineData(2, "command line: 1 problem\n  --bos: \"<s>\" is no token of this tokenizer (character): neither a name in its " +
        "vocabulary nor an id from 0 to ", "--bos", "<s>")]
    [InlineData(2, "command line: 1 problem\n  --beams: is for encoder-decoders, whose translations are measured; this model translates " +
        "nothing: leave it out", "--beams", "8")]
    [InlineData(2, "command line: 1 problem\n  --season: is for models of time series, and this one reads texts", "--season", "7")]
    [InlineData(1, "nowhere.txt", "--data", "nowhere.txt")]
    [InlineData(1, "is empty", "--data", "empty.txt")]
    [InlineData(1, "there is nothing to score: the text has 1 tokens, and the first of them is not predicted from anything; give a " +
        "longer text or a token before it (--bos)", "--data", "one.txt")]
    public void What_cannot_be_evaluated_is_refused_with_the_reason(int exitCode, string message, params string[] arguments)
    {
        File.WriteAllText(workspace.PathOf("empty.txt"), "");
        File.WriteAllText(workspace.PathOf("one.txt"), "t");
        BadInputTests.Fails(workspace.Run(["evaluate", "run", .. arguments]), exitCode, message);
    }

    [Fact]
    public void A_checkpoint_that_is_not_there_is_named() =>
        BadInputTests.Fails(workspace.Run("evaluate", "nowhere"), 1, "nowhere: there is no such checkpoint or run directory");

    [Fact]
    public void A_window_longer_than_the_positions_that_were_learned_is_refused()
    {
        workspace.Succeeds(
            "train", "small.json", "--run", "learned", "--set", "training.steps=1", "model.position.type=learned");
        BadInputTests.Fails(workspace.Run("evaluate", "learned", "--window", "33"), 1,
            "33 positions are more than the 32 this model has learned; use at most contextLength (32).");
        workspace.Succeeds("evaluate", "learned", "--window", "32");
    }

    [Fact]
    public void A_recipe_whose_text_has_changed_since_is_refused()
    {
        using var own = model.Copy();
        File.WriteAllText(own.PathOf("text.txt"), "Other letters! " + Workspace.Words(100));
        BadInputTests.Fails(own.Run("evaluate", "run"), 1, "the texts of its recipe have changed since it was trained");
    }
}
