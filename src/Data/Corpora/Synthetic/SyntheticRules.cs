using Trainer.Configuration;

namespace Trainer.Data;

/// <summary>The rules of sources of format synthetic.</summary>
internal static class SyntheticRules
{
    public static IEnumerable<Problem> Check(SourceOptions source)
    {
        if (source.Format == SourceFormat.Synthetic)
        {
            if (source.Task is null)
                yield return new Problem("task", "is missing; format synthetic needs one, such as {\"type\": \"copy\", \"length\": 32}");
            if (source.Examples < 1)
                yield return new Problem("examples", $"is {source.Examples}, but must be 1 or more");
            yield break;
        }
        if (source.Task is not null)
            yield return new Problem("task", "is set, but only format synthetic has tasks; remove task, or set format to \"synthetic\"");
        if (source.Examples is not null)
            yield return new Problem("examples", $"is {source.Examples}, but only format synthetic makes examples; remove examples");
        if (source.Seed is not null)
            yield return new Problem("seed", $"is {source.Seed}, but only format synthetic draws its text; remove seed");
    }
}
