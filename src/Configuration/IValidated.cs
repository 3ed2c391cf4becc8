namespace Trainer.Configuration;

/// <summary>A configuration record with rules across its own fields.</summary>
/// <remarks>Ranges of a single field are attributes; only what concerns several fields belongs here.
/// The loader asks every record it has bound, at every depth, and reports all problems together.</remarks>
public interface IValidated
{
    /// <summary>The rules this record breaks; none when it is sound.</summary>
    /// <returns>Problems with paths relative to this record; the empty path is the record itself.</returns>
    IEnumerable<Problem> Validate();
}
