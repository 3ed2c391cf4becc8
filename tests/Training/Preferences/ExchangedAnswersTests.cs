using Trainer.Data.Batches;
using Trainer.Training.Preferences;

namespace Trainer.Training.Tests.Preferences;

/// <summary>Prompts with answers to others. Rows are written as a prompt, what was chosen and what was rejected, a letter each.</summary>
public class ExchangedAnswersTests
{
    [Theory]
    [InlineData("Pab Qcd", "Pc Qb Pd Qa")]
    [InlineData("Pab|Qcd", "Pc Qb Pd Qa")]
    [InlineData("Pab", "")]
    [InlineData("Pa. Q.b", "Pb Qa")]
    [InlineData("Pa.", "")]
    [InlineData("Pab Qc.", "Pc Qb")]
    [InlineData("Pab Q.c", "Pc Qa")]
    [InlineData("Pab Qc. R.d", "Pc Qb Pd Ra")]
    public void Each_prompt_gets_answers_to_other_prompts(string batches, string expected)
    {
        IEnumerable<Batch> exchanged = ExchangedAnswers.Of([.. batches.Split('|').Select(rows => Rows(rows.Split(' ')))], longest: 8);

        Assert.Equal(expected, string.Join(' ', exchanged.SelectMany(
            batch => batch.Inputs.Zip(batch.Targets, (prompt, answer) => $"{(char)prompt}{(char)answer}"))));
    }

    private static Batch Rows(string[] rows)
    {
        (char Prompt, char Answer, int Document)[] places = [.. rows.SelectMany(row => new[] { (row[0], row[1], 0), (row[0], row[2], 1) })];
        return new Batch(
            [.. places.Select(place => (long)place.Prompt)],
            [.. places.Select(place => place.Answer == '.' ? Batch.Ignored : place.Answer)], rows.Length, Columns: 2)
        {
            Documents = [.. places.Select(place => place.Answer == '.' ? -1L : place.Document)],
        };
    }
}
