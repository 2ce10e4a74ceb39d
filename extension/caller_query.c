/* SPDX-License-Identifier: PostgreSQL */
/*
 * A caller's own SQL, run with the caller's rights: the other half of query.c, kept apart from it,
 * so that the switch to the owner and a caller's text are never in one file. SPI, like there.
 *
 * Parameters have no types of their own: the parser finds them, as it does for a client's Parse
 * message, and each value is read by the input function of the type it found.
 */
#include "goldenarch/query.h"

#include "parser/parse_param.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"

#include "goldenarch/error.h"

#define PARAMETERS_MAX 1000

typedef struct Parameters
{
	Oid *types; /* what the parser found; grown by it where the statement names more */
	int n;
} Parameters;

static void
set_up_parser(ParseState *parser, void *arg)
{
	Parameters *parameters = arg;

	setup_parse_variable_parameters(parser, &parameters->types, &parameters->n);
}

/* The elements as text; null for JSON null. */
static char **
read_elements(Jsonb *params, int *count)
{
	JsonbIterator *iterator;
	JsonbIteratorToken token;
	JsonbValue value;
	char **texts;

	if (!JB_ROOT_IS_ARRAY(params) || JB_ROOT_IS_SCALAR(params) ||
	    JB_ROOT_COUNT(params) > PARAMETERS_MAX)
		ga_bad_argument("params", "It is a JSON array of at most 1000 values.");
	texts = palloc0(sizeof(char *) * (JB_ROOT_COUNT(params) + 1));
	*count = 0;
	iterator = JsonbIteratorInit(&params->root);
	while ((token = JsonbIteratorNext(&iterator, &value, true)) != WJB_DONE)
	{
		if (token != WJB_ELEM)
			continue;
		if (value.type == jbvString)
			texts[*count] = pnstrdup(value.val.string.val, (Size) value.val.string.len);
		else if (value.type == jbvBinary)
			texts[*count] = JsonbToCString(NULL, value.val.binary.data, value.val.binary.len);
		else if (value.type != jbvNull)
		{
			Jsonb *scalar = JsonbValueToJsonb(&value);

			texts[*count] = JsonbToCString(NULL, &scalar->root, VARSIZE(scalar));
		}
		(*count)++;
	}
	return texts;
}

static ParamListInfo
bind(const Parameters *parameters, char **texts, int count)
{
	ParamListInfo list = makeParamList(count);
	int i;

	if (parameters->n > count)
		ereport(ERROR, (errcode(ERRCODE_UNDEFINED_PARAMETER),
		                errmsg("the query names $%d, params has %d values", parameters->n, count)));
	for (i = 0; i < count; i++)
	{
		ParamExternData *parameter = &list->params[i];
		Oid type =
		    i < parameters->n && OidIsValid(parameters->types[i]) ? parameters->types[i] : TEXTOID;
		Oid input;
		Oid element;

		if (type == UNKNOWNOID)
			ereport(ERROR, (errcode(ERRCODE_INDETERMINATE_DATATYPE),
			                errmsg("could not determine data type of parameter $%d", i + 1)));
		getTypeInputInfo(type, &input, &element);
		parameter->ptype = type;
		parameter->pflags = PARAM_FLAG_CONST;
		parameter->isnull = texts[i] == NULL;
		parameter->value = OidInputFunctionCall(input, texts[i], element, -1);
	}
	return list;
}

static void
take_rows(GaTakeRow take, void *arg)
{
	MemoryContext scratch =
	    AllocSetContextCreate(CurrentMemoryContext, "goldenarch row", ALLOCSET_DEFAULT_SIZES);
	MemoryContext old = MemoryContextSwitchTo(scratch);
	uint64 row;

	for (row = 0; take && SPI_tuptable && row < SPI_processed; row++)
	{
		take(SPI_tuptable->vals[row], SPI_tuptable->tupdesc, arg);
		MemoryContextReset(scratch);
	}
	MemoryContextSwitchTo(old);
	MemoryContextDelete(scratch);
}

void
ga_query_as_caller(const char *sql, Jsonb *params, GaTakeRow take, void *arg)
{
	Parameters parameters = {0};
	SPIPrepareOptions prepare = {.parserSetup = set_up_parser, .parserSetupArg = &parameters};
	SPIExecuteOptions execute = {0};
	SPIPlanPtr plan;
	char **texts;
	int count;
	int code;

	if (ga_inside_call())
		elog(ERROR, "a caller's statement inside of a call: \"%s\"", sql);
	texts = read_elements(params, &count);
	/* Ours from the start: the parser would allocate it in a context that does not last. */
	parameters.types = palloc0(sizeof(Oid) * (count + 1));
	if (SPI_connect() != SPI_OK_CONNECT)
		elog(ERROR, "could not connect to SPI");
	plan = SPI_prepare_extended(sql, &prepare);
	if (!plan)
		ereport(ERROR, (errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
		                errmsg("this statement cannot be run here: %s",
		                       SPI_result_code_string(SPI_result))));
	execute.params = bind(&parameters, texts, count);
	code = SPI_execute_plan_extended(plan, &execute);
	if (code < 0)
		ereport(ERROR,
		        (errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
		         errmsg("this statement cannot be run here: %s", SPI_result_code_string(code))));
	take_rows(take, arg);
	SPI_finish();
}
