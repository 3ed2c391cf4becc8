using Trainer.Data.Corpora;

namespace Trainer.Data.Tests.Corpora;

/// <summary>Checks every answer against an independent solution.</summary>
public sealed class SyntheticTasksTests
{
    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public void A_copy_is_the_sequence_again(bool reversed)
    {
        var examples = Draw(new CopyTaskOptions { Length = 9, MinimumLength = 3, Symbols = 5, Reversed = reversed }, 2000);
        Assert.All(examples,
            example => Assert.Equal(example.Prompt, (reversed ? string.Concat(example.Answer.Reverse()) : example.Answer) + "|"));
        Assert.Equal([3, 4, 5, 6, 7, 8, 9], examples.Select(example => example.Answer.Length).Distinct().Order());
        Assert.Equal("abcde", string.Concat(examples.SelectMany(example => example.Answer).Distinct().Order()));
        Assert.All(Draw(new CopyTaskOptions { Length = 60, Symbols = 52 }, 20),
            example => Assert.Matches("^[a-zA-Z]{60}$", example.Answer));
    }

    [Fact]
    public void A_selective_copy_is_what_is_not_noise()
    {
        var examples = Draw(new SelectiveCopyTaskOptions { Length = 20, Items = 6, Symbols = 4 }, 4000);
        Assert.All(examples, example =>
        {
            Assert.Matches("^[.a-d]{20}[|]$", example.Prompt);
            Assert.Equal((6, example.Prompt.Replace(".", "").TrimEnd('|')), (example.Answer.Length, example.Answer));
        });
        // Each place holds a symbol in 6 of 20 examples: 1200 ± 29, so 1050 … 1350 is five deviations wide.
        Assert.All(Enumerable.Range(0, 20), place => Assert.InRange(examples.Count(example => example.Prompt[place] != '.'), 1050, 1350));
    }

    [Fact]
    public void A_recalled_value_stands_behind_the_only_key_that_is_asked()
    {
        var examples = Draw(new AssociativeRecallTaskOptions { Pairs = 7, MinimumPairs = 2, Keys = 9, Values = 4 }, 2000);
        Assert.All(examples, example =>
        {
            Assert.Matches("^([a-i][0-3])+[|][a-i]$", example.Prompt);
            Assert.Equal(example.Prompt.IndexOf(example.Prompt[^1]), example.Prompt[..^2].LastIndexOf(example.Prompt[^1]));
            Assert.Equal(example.Answer, example.Prompt[example.Prompt.IndexOf(example.Prompt[^1]) + 1].ToString());
            Assert.Equal(example.Prompt.Count(char.IsAsciiDigit), example.Prompt[..^2].Where(char.IsAsciiLetter).Distinct().Count());
        });
        Assert.Equal([6, 8, 10, 12, 14, 16], examples.Select(example => example.Prompt.Length).Distinct().Order());
        Assert.Equal(0.5, examples.Average(example => example.Prompt.IndexOf(example.Prompt[^1]) / 2 / (example.Prompt.Length / 2.0 - 2)),
            0.05);
    }

    [Fact]
    public void A_latest_value_stands_behind_the_last_of_its_keys()
    {
        var examples = Draw(new LatestValueTaskOptions { Assignments = 12, MinimumAssignments = 1, Keys = 3 }, 2000);
        Assert.All(examples, example =>
        {
            Assert.Matches("^([a-c][0-9])+[|][a-c]$", example.Prompt);
            Assert.Equal(example.Answer, example.Prompt[example.Prompt[..^2].LastIndexOf(example.Prompt[^1]) + 1].ToString());
        });
        Assert.True(examples.Count(example => example.Prompt[..^2].Count(c => c == example.Prompt[^1]) > 1) > 1000);
    }

    [Theory]
    [InlineData(null)]
    [InlineData(0.0)]
    [InlineData(0.25)]
    [InlineData(1.0)]
    public void A_needle_is_found_where_it_was_put(double? depth)
    {
        var examples = Draw(new NeedleTaskOptions { Length = 600, MinimumLength = 300, Digits = 6, Depth = depth }, 500);
        Assert.All(examples, example =>
        {
            Assert.InRange(example.Prompt.Length, 300 - 23, 600);
            Assert.Matches("^[0-9]{6}$", example.Answer);
            Assert.Equal($"The pass key is {example.Answer}. ", example.Prompt.Substring(Place(example), 24));
            Assert.EndsWith("What is the pass key? ", example.Prompt, StringComparison.Ordinal);
            if (depth is { } at)
                Assert.Equal(at, Place(example) / (double)(example.Prompt.Length - 24 - 22), 0.1);
        });
        if (depth is null)
            Assert.Equal(0.5, examples.Average(example => Place(example) / (double)(example.Prompt.Length - 24 - 22)), 0.05);
    }

    [Fact]
    public void A_prompt_may_be_the_needle_alone() =>
        Assert.All(Draw(new NeedleTaskOptions { Length = 45, Digits = 5 }, 20),
            example => Assert.Equal($"The pass key is {example.Answer}. What is the pass key? ", example.Prompt));

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public void Calculations_are_right(bool reversed)
    {
        ArithmeticTaskOptions task = new()
        {
            Digits = 3,
            MinimumDigits = 1,
            Operations = [ArithmeticOperation.Add, ArithmeticOperation.Subtract, ArithmeticOperation.Multiply],
            Reversed = reversed,
        };
        var examples = Draw(task, 3000);
        Assert.All(examples, example =>
        {
            var parts = System.Text.RegularExpressions.Regex.Match(example.Prompt, @"^(0|[1-9]\d*)([-+*])(0|[1-9]\d*)=$");
            var (a, b) = (int.Parse(parts.Groups[1].Value), int.Parse(parts.Groups[3].Value));
            var result = parts.Groups[2].Value switch { "+" => a + b, "-" => a - b, _ => a * b };
            Assert.True(result >= 0);
            Assert.Equal(result.ToString(), reversed ? string.Concat(example.Answer.Reverse()) : example.Answer);
        });
        Assert.All("+-*", sign => Assert.InRange(examples.Count(example => example.Prompt.Contains(sign)), 850, 1150));
        Assert.Equal([4, 5, 6, 7, 8], examples.Select(example => example.Prompt.Length).Distinct().Order());
        Assert.All(Draw(new ArithmeticTaskOptions(), 100), example => Assert.Matches(@"^[1-9]\d\+[1-9]\d=$", example.Prompt));
    }

    [Fact]
    public void Words_are_rewritten_by_the_rule_before_them()
    {
        var examples = Draw(new RewriteTaskOptions { Length = 7, MinimumLength = 3, Symbols = 9 }, 3000);
        Assert.All(examples, example =>
        {
            var word = example.Prompt.Split(' ')[1].TrimEnd('|');
            Assert.Matches("^[a-i]{3,7}$", word);
            var wanted = example.Prompt.Split(' ')[0] switch
            {
                "upper" => word.ToUpperInvariant(),
                "reverse" => string.Concat(word.Reverse()),
                "sort" => string.Concat(word.Order()),
                _ => null,
            };
            Assert.Equal(wanted, example.Answer);
        });
        Assert.Equal(3, examples.Select(example => example.Prompt.Split(' ')[0]).Distinct().Count());
        Assert.All(Draw(new RewriteTaskOptions { Rules = [RewriteRule.Sort] }, 50), example => Assert.StartsWith("sort ", example.Prompt));
    }

    [Fact]
    public void What_does_not_fit_says_how_much_it_takes()
    {
        static string[] Problems(Configuration.IValidated task) =>
            [.. task.Validate().Select(problem => $"{problem.Path} {problem.Message}")];
        Assert.Equal(["length is 44, but the sentence with the pass key and the question take 45 characters; make it 45 or more"],
            Problems(new NeedleTaskOptions { Length = 44, Digits = 5 }));
        Assert.Equal(["items is 9, but there are only length (8) places; make it 8 or less"],
            Problems(new SelectiveCopyTaskOptions { Length = 8, Items = 9 }));
        Assert.Equal(["pairs is 9, but there are only keys (8) different keys; make it 8 or less"],
            Problems(new AssociativeRecallTaskOptions { Pairs = 9, Keys = 8 }));
        Assert.Equal(
            ["minimumAssignments is 9, above assignments (8); make it 8 or less, or leave it out for examples of one length"],
            Problems(new LatestValueTaskOptions { Assignments = 8, MinimumAssignments = 9 }));
        Assert.Equal(["operations is empty; name at least one of add, subtract, multiply, or leave it out"],
            Problems(new ArithmeticTaskOptions { Operations = [] }));
        Assert.Equal(["rules.1 \"sort\" is listed twice; name each once"],
            Problems(new RewriteTaskOptions { Rules = [RewriteRule.Sort, RewriteRule.Sort] }));
    }

    private static int Place(SyntheticExample example) => example.Prompt.IndexOf("The pass key is ", StringComparison.Ordinal);

    private static List<SyntheticExample> Draw(SyntheticTaskOptions task, int count)
    {
        var random = new RandomSequence(7);
        return [.. Enumerable.Range(0, count).Select(_ => task.Draw(ref random))];
    }
}
